#!/usr/bin/env bash
# Makes what is installed: scripts/dist.sh [FOLDER]
#   baton                        the program, stripped, with the Swift runtime in it
#   baton_VERSION_ARCH.deb       the Debian package
#   baton-VERSION-ARCH.tar.gz    the same files for other systems, below /usr/local or another prefix
#   baton-VERSION-ARCH.oci.tar   an image of the program and what it needs
#   SHA256SUMS
# VERSION=… is the packages', if it is not the program's. BUILD=.build/debug takes a build that there is, instead of a release
# build. The same sources, toolchain and libraries make the same bytes (SOURCE_DATE_EPOCH: the last commit's time).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-dist}")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Package.swift)}
export SOURCE_DATE_EPOCH
if [ -z "${BUILD:-}" ]; then swift build -c release --product baton; fi
mkdir -p "$folder"
packaging/program.sh "${BUILD:-.build/release}" "$folder/baton"
version=${VERSION:-$("$folder/baton" --version)}
architecture=$(dpkg --print-architecture)
deb=baton_${version}_$architecture.deb name=baton-$version-$architecture
packaging/deb.sh "$folder/baton" "$version" "$folder/$deb"
packaging/tarball.sh "$folder/baton" "$version" "$folder/$name.tar.gz"
packaging/image.sh "$folder/baton" "$version" "$folder/$name.oci.tar"
cd "$folder"
sha256sum baton "$deb" "$name.tar.gz" "$name.oci.tar" >SHA256SUMS
ls -l baton "$deb" "$name.tar.gz" "$name.oci.tar" SHA256SUMS
