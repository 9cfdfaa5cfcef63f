#!/usr/bin/env bash
# An image of the program and what it needs, and nothing else: packaging/image.sh BINARY VERSION FILE
# FILE becomes an OCI archive (podman load, skopeo copy oci-archive:FILE …); ROOT=FOLDER keeps the root file system, which is
# what packaging/oci/Containerfile makes an image of.
set -euo pipefail
umask 022
binary=$1 version=$2 file=$3 here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=${ROOT:-$work/root}
mkdir -p "$root"/{bin,dev,etc/baton,etc/ssl/certs,proc,run/baton,sys,tmp,usr/bin,usr/lib/ssl,usr/share/doc,var/lib/dpkg/status.d}
chmod 755 "$root"
chmod 1777 "$root/tmp"

install -m 755 "$binary" "$root/usr/bin/baton"
ln -s /usr/bin/baton "$root/bin/baton"
install -m 644 "$here/debian/baton.yaml" "$root/etc/baton/baton.yaml"

# The shared libraries at the paths of this system, and for scanners the packages that they are from.
ldd "$binary" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    install -D -m 755 "$library" "$root$library"
    package=$(dpkg -S "*$library" | sed -n "1s/:.*//p")
    dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
    install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done
install -D -m 644 "$here/debian/copyright" "$root/usr/share/doc/baton/copyright"

# The roots that 'tls-ca: system' means, where OpenSSL looks for them.
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
ln -s /etc/ssl/certs "$root/usr/lib/ssl/certs"
ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"

printf 'root:x:0:0:root:/:/sbin/nologin\nbaton:x:65532:65532:Baton:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nbaton:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -m 644 /etc/os-release "$root/etc/os-release"
chown -R 0:0 "$root"
chown 65532:65532 "$root/run/baton"
chmod 700 "$root/run/baton"

tar -C "$root" -c --sort=name --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" . >"$work/root.tar"
python3 "$here/oci/layout.py" "$work/root.tar" "$version" "$(dpkg --print-architecture)" "$file"
