#!/usr/bin/env bash
# Runs tests, and uploads through upgrades, under tools that see what is wrong with memory and threads.
#   scripts/sanitize.sh [address|thread|malloc]...      all three unless given
#   SANITIZE_SECONDS: how long to upload under each, 60 unless set
# Builds of their own: .build-asan, .build-tsan. The third takes the usual debug build.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SANITIZE_SECONDS:-60}
jobs=(-j "$(nproc)")
reports=$(mktemp -d)
# A trap is for the sanitizer to see; Swift would only print where it was.
export SWIFT_BACKTRACE=enable=no

# Everything that handles memory by hand, in one process, and the servers' processes as they come and go.
memory='BatonCoreTests|TLSRecordsTests|TLSHandshakeTests|HandoffTests|BatonNIOTests|BatonConfigurationTests|BatonServerTests'
# Not those that search memory, in which the sanitizers have terabytes of their own.
skipped='MemoryTests'
servers='ServeTests\.(MovingTests|UpgradeTests|FailedUpgradeTests|LifeTests|UpstreamTests)'

check_reports() {
    local found=("$reports"/*)
    [ -e "${found[0]}" ] || return 0
    head -n 60 "${found[@]}"
    echo "$1: ${#found[@]} reports in $reports"
    return 1
}

build() { # folder, kind
    echo "building with --sanitize $2 (the first time takes a while)"
    swift build --scratch-path "$1" --build-tests --sanitize "$2" "${jobs[@]}" >"$1.log" 2>&1 || { tail -n 40 "$1.log"; exit 1; }
}

tests() { # folder, kind, filter
    swift test --skip-build --no-parallel --scratch-path "$1" --sanitize "$2" --filter "$3" --skip "$skipped" >"$1-test.log" 2>&1 ||
        { grep -E '✘|error:|Sanitizer' "$1-test.log" | head -n 40; check_reports "$2" || true; exit 1; }
    grep -E 'Test run with' "$1-test.log" | tail -n 1
    check_reports "$2"
}

address() {
    build .build-asan address
    # Processes of baton may not be traced, which the search for leaks needs: it is made where tests run in one process.
    # Our own handler of crashes would come before the sanitizer's.
    local common="log_path=$reports/asan:handle_segv=2:handle_sigbus=2:handle_sigill=2:handle_sigfpe=2"
    ASAN_OPTIONS="$common:detect_leaks=1" LSAN_OPTIONS="suppressions=$PWD/scripts/leaks.supp:print_suppressions=0" \
        tests .build-asan address "$memory"
    ASAN_OPTIONS="$common:detect_leaks=0" tests .build-asan address "$servers"
    ASAN_OPTIONS="$common:detect_leaks=0" scripts/upload_through_upgrades.py .build-asan/debug/baton "$seconds" "$reports"
}

thread() {
    build .build-tsan thread
    # These look at a moment between two messages, which is too short at this speed.
    skipped+='|OwnerDeathTests'
    export TSAN_OPTIONS="log_path=$reports/tsan:suppressions=$PWD/scripts/threads.supp:history_size=4"
    tests .build-tsan thread "$memory"
    tests .build-tsan thread "$servers"
    scripts/upload_through_upgrades.py .build-tsan/debug/baton "$seconds" "$reports"
}

# glibc's own checks, at full speed: each allocation is filled with a byte, and each that is freed with another.
malloc() {
    swift build --build-tests "${jobs[@]}" >.build-malloc.log 2>&1 || { tail -n 40 .build-malloc.log; exit 1; }
    local -x LD_PRELOAD=libc_malloc_debug.so.0 MALLOC_CHECK_=3 MALLOC_PERTURB_=165
    swift test --skip-build --no-parallel --filter "$memory|$servers" >.build-malloc-test.log 2>&1 ||
        { grep -E '✘|error:|malloc|free' .build-malloc-test.log | head -n 40; exit 1; }
    grep -E 'Test run with' .build-malloc-test.log | tail -n 1
    scripts/upload_through_upgrades.py .build/debug/baton "$seconds"
}

[ $# -gt 0 ] || set -- address thread malloc
for kind in "$@"; do
    case $kind in
        address | thread | malloc) echo "== $kind" ;;
        *) sed -n 3,6p "$0" >&2; exit 2 ;;
    esac
    "$kind"
    unset ASAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS
done
rm -rf "$reports"
