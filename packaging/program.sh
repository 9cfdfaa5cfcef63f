#!/usr/bin/env bash
# The program with the Swift runtime in it, stripped: packaging/program.sh BUILD FILE
# The objects of an ordinary build (BUILD: .build/release) are linked once more, so that one build does for everything.
set -euo pipefail
build=$1 file=$2
# By themselves the modules ask for the shared runtime's libraries; what Foundation is made of has to be named.
foundation=(Foundation FoundationInternationalization FoundationEssentials CoreFoundation
    _FoundationICU _FoundationCShims _FoundationCollections)
swiftc -emit-executable -static-stdlib -module-name baton -o "$file" "@$build/baton.product/Objects.LinkFileList" \
    -Xlinker --defsym -Xlinker main=baton_main -Xlinker --gc-sections \
    "${foundation[@]/#/-l}" -lstdc++ -lssl -lcrypto -lnftables -lresolv
strip "$file"
if objdump -p "$file" | grep -E 'NEEDED.*(swift|Foundation|dispatch|Blocks)'; then
    echo "$file needs libraries of the Swift toolchain" >&2
    exit 1
fi
