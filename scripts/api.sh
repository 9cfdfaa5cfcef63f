#!/bin/bash
# The public declarations of the library's modules, one a line, beside those of the last release (docs/api).
#
#   scripts/api.sh            fails if one is missing that the last release had
#   scripts/api.sh record     writes what there is to docs/api, for a release
#
# It reads what `swift build` has made.
set -euo pipefail
modules=(TLSRecords TLSHandshake Handoff HostMigration BatonNIO BatonHosts)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
maps=()
while read -r file; do maps+=(-Xcc "-fmodule-map-file=$file"); done < <(scripts/module_maps.sh)
result=0
for module in "${modules[@]}"; do
    swift-api-digester -dump-sdk -module "$module" -o "$folder/$module.json" -I .build/debug/Modules "${maps[@]}" \
        -target "$(uname -m)-unknown-linux-gnu" -swift-version 6 -avoid-location -abort-on-module-fail
    python3 scripts/api_lines.py "$module" <"$folder/$module.json" >"$folder/$module.txt"
    if [ "${1:-}" = record ]; then
        mkdir -p docs/api
        cp "$folder/$module.txt" "docs/api/$module.txt"
    elif missing=$(LC_ALL=C comm -23 "docs/api/$module.txt" "$folder/$module.txt") && [ -n "$missing" ]; then
        echo "$module lacks what the last release had; keep it, deprecated, or raise the version and record (scripts/api.sh record):" >&2
        echo "$missing" >&2
        result=1
    fi
done
exit $result
