#!/bin/bash
# The documentation of BatonNIO as web pages, in the folder that is given. A warning fails.
set -euo pipefail
target=$1
swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >.build-docs.log 2>&1 ||
    { cat .build-docs.log; exit 1; }
graphs=$(dirname "$(find .build/ -name BatonNIO.symbols.json | head -1)")
chosen=$(mktemp -d)
trap 'rm -rf "$chosen"' EXIT
cp "$graphs"/BatonNIO*.symbols.json "$chosen"
docc convert Sources/BatonNIO/BatonNIO.docc --additional-symbol-graph-dir "$chosen" --output-path "$target" \
    --fallback-display-name BatonNIO --fallback-bundle-identifier baton.BatonNIO --warnings-as-errors
echo "the documentation is in $target; docc preview, or any web server, shows it"
