#!/usr/bin/env bash
# Installs what a part of the project needs beyond a Swift 6.3 toolchain, and says so.
# scripts/bootstrap.sh build|demo|test|bench|dist
set -euo pipefail
declare -A packages=(
    [build]="make pkg-config libssl-dev libnftables-dev"
    [demo]="openssl gnutls-bin"
    [test]="openssl gnutls-bin curl python3 python3-websockets chromium nginx-light wrk ca-certificates iproute2 nftables procps haproxy prometheus postfix python3-aiosmtpd swaks libnet-ssleay-perl dovecot-imapd postgresql postgresql-client openjdk-17-jdk-headless libuv1-dev conntrack man-db groff-base dpkg-dev mmdebstrap fish zsh certbot lego dnsmasq-base"
    [dist]="dpkg-dev python3 ca-certificates"
    [bench]="openssl nginx-light libnginx-mod-stream wrk python3 haproxy hitch iproute2 procps"
)
case ${1:-} in
    build) wanted=${packages[build]} ;;
    demo | test | bench | dist) wanted="${packages[build]} ${packages[$1]}" ;;
    *) echo "usage: scripts/bootstrap.sh build|demo|test|bench|dist" >&2; exit 2 ;;
esac
command -v swift >/dev/null || { echo "no Swift toolchain: install Swift 6.3 from swift.org, then run this again" >&2; exit 1; }
if ! command -v dpkg-query >/dev/null; then
    echo "this is not Debian: make sure that what these packages hold is installed: $wanted"
    exit 0
fi
# Node's own packages bring the headers along, and Debian's libnode-dev is of another version then.
if [[ ${1:-} == test && ! -e /usr/include/node/node_api.h ]]; then wanted+=" nodejs libnode-dev"; fi
missing=()
for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
echo "installing Debian packages: ${missing[*]}"
# Servers among them are started by who needs them, not by the system.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '"${root[@]}" rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
    "${root[@]}" chmod 755 $policy
fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
