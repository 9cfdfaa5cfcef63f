#!/bin/bash
# The documentation of BatonNIO as web pages, in the folder that is given. A warning fails. It reads what `swift build` has made.
set -euo pipefail
target=$1
graphs=$(mktemp -d)
trap 'rm -rf "$graphs"' EXIT
maps=()
while read -r file; do maps+=(-Xcc "-fmodule-map-file=$file"); done < <(scripts/module_maps.sh)
swift-symbolgraph-extract -module-name BatonNIO -I .build/debug/Modules "${maps[@]}" \
    -target "$(uname -m)-unknown-linux-gnu" -swift-version 6 -minimum-access-level public -skip-synthesized-members \
    -output-dir "$graphs"
docc convert Sources/BatonNIO/BatonNIO.docc --additional-symbol-graph-dir "$graphs" --output-path "$target" \
    --fallback-display-name BatonNIO --fallback-bundle-identifier baton.BatonNIO --warnings-as-errors
echo "the documentation is in $target; any web server shows it"
