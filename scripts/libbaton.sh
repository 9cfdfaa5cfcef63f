#!/usr/bin/env bash
# Builds libbaton for programs in C: scripts/libbaton.sh FOLDER
# The Swift runtime is in it, so that whoever uses it needs none; OpenSSL is not. Only the functions of its headers can be seen.
set -euo pipefail
folder=${1:?usage: scripts/libbaton.sh FOLDER}
version=$(sed -n 's/#define BATON_VERSION "\(.*\)"/\1/p' Sources/CBaton/include/baton.h)
name=libbaton.so.${version%.*}
library=$folder/lib/libbaton.so.$version
mkdir -p "$folder"/{lib/pkgconfig,include}
swift build -c release --product BatonC
objects=()
for module in CBaton BatonC BatonCore TLSRecords TLSHandshake Handoff CLinuxSockets COpenSSLStart; do
    mapfile -t -O ${#objects[@]} objects < <(find -L ".build/release/$module.build" -name '*.o')
done
# SwiftPM links the runtime into programs, and not into libraries.
swiftc -emit-library -static-stdlib -o "$library" "${objects[@]}" -lssl -lcrypto -Xlinker -soname="$name" \
    -Xlinker --version-script=scripts/libbaton.map -Xlinker --gc-sections
strip --strip-unneeded "$library"
ln -sf "libbaton.so.$version" "$folder/lib/$name"
ln -sf "$name" "$folder/lib/libbaton.so"
install -m 644 Sources/CBaton/include/baton.h Sources/CBaton/include/baton_openssl.h "$folder/include"
cat >"$folder/lib/pkgconfig/baton.pc" <<PC
prefix=\${pcfiledir}/../..
Name: baton
Description: Moves live TLS connections between processes
Version: $version
Requires: openssl >= 3.0
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lbaton
PC
echo "libbaton $version is in $folder"
