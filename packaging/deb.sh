#!/usr/bin/env bash
# The Debian package: packaging/deb.sh BINARY VERSION FILE
set -euo pipefail
umask 022
binary=$1 version=$2 file=$3 here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

"$here/tree.sh" "$binary" "$tree/usr"
# Debian 12 has its units below /lib; /usr/local is the administrator's.
mkdir "$tree/lib"
mv "$tree/usr/lib/systemd" "$tree/lib/systemd"
rmdir "$tree/usr/lib"
sed -i -e 's:/usr/local/bin:/usr/bin:' -e '1s:^# /etc/systemd/system/:# For changes use systemctl edit :' \
    "$tree"/lib/systemd/system/*
install -D -m 644 "$here/debian/sysusers.conf" "$tree/usr/lib/sysusers.d/baton.conf"
install -D -m 644 "$here/debian/baton.yaml" "$tree/etc/baton/baton.yaml"
install -D -m 644 "$here/debian/needrestart.conf" "$tree/etc/needrestart/conf.d/baton.conf"
printf 'baton (%s) stable; urgency=medium\n\n  * CHANGELOG.md.gz tells what is new.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$here/debian/control")" "$(date -u -R -d "@${SOURCE_DATE_EPOCH:-0}")" |
    gzip -9n >"$tree/usr/share/doc/baton/changelog.gz"

# What it links to, as Depends has it, and where dpkg knows it: when one of these files changes, the program is replaced.
control=$tree/DEBIAN
mkdir "$tree/debian" "$control"
printf 'Source: baton\n\nPackage: baton\nArchitecture: any\n' >"$tree/debian/control"
depends=$(cd "$tree" && dpkg-shlibdeps -O "$tree/usr/bin/baton" | sed -n 's/^shlibs:Depends=//p')
rm -r "$tree/debian"
mapfile -t libraries < <(objdump -p "$binary" | awk '$1 == "NEEDED" { print $2 }')
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)

install -m 755 "$here"/debian/{postinst,prerm,postrm} "$control"
(cd "$tree" && find etc -type f -printf '/%p\n' | sort) >"$control/conffiles"
{
    cat "$here/debian/triggers"
    for library in "${libraries[@]}"; do
        dpkg -S "*/$multiarch/$library" | sed 's/^[^/]*/interest-noawait /'
    done
} >"$control/triggers"
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$(dpkg --print-architecture)/; s/@DEPENDS@/$depends/" \
    -e "s/@SIZE@/$(du -sk --exclude=DEBIAN "$tree" | cut -f 1)/" "$here/debian/control" >"$control/control"
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >"$control/md5sums")
chmod -R u+w,go-w "$tree"
find "$tree" -newermt "@${SOURCE_DATE_EPOCH:-0}" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
dpkg-deb --root-owner-group --build "$tree" "$file" >/dev/null
