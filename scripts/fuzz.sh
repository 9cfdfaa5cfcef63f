#!/usr/bin/env bash
# Runs every libFuzzer target over its corpus for a bounded time.  scripts/fuzz.sh [SECONDS each, 20 unless given]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
# A trap is for libFuzzer to see, which keeps the input; Swift would only print where it was.
export BATON_FUZZ=1 SWIFT_BACKTRACE=enable=no
for folder in Fuzz/Fuzz*/; do
    target=$(basename "$folder")
    swift build --scratch-path .build-fuzz --product "$target" -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld >.build-fuzz.log 2>&1 ||
        { cat .build-fuzz.log; exit 1; }
    work=$(mktemp -d)
    corpus="Fuzz/corpus/$(echo "${target#Fuzz}" | tr '[:upper:]' '[:lower:]')"
    # New inputs go to a folder of their own; the checked-in corpus is only read.
    if ! .build-fuzz/debug/"$target" -max_total_time="$seconds" -max_len=8192 -artifact_prefix="$work/" \
        "$work" "$corpus" >"$work/log" 2>&1; then
        tail -n 40 "$work/log"
        echo "$target failed; its input is in $work"
        exit 1
    fi
    echo "$target: $(grep '^Done' "$work/log")"
    rm -rf "$work"
done
