#!/bin/bash
# A package of its own, elsewhere, depends on this one by path: it is the program of the README as printed there. It must resolve
# nothing that the library does not need, build, and keep a WebSocket through a deploy at every byte of a frame.
set -euo pipefail
here=$(pwd)
folder=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/Sources/Counter"
ln -sfn "$here" "$folder/baton"
awk '/^```swift$/ { if (!done) inside = 1; next } /^```$/ { if (inside) done = 1; inside = 0; next } inside' README.md \
    >"$folder/Sources/Counter/main.swift"
lines=$(grep -E '^\.(package|product)\(' README.md | sed -E 's|//.*||')
cat >"$folder/Package.swift" <<EOF
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Counter",
    dependencies: [
        $(grep package\(path <<<"$lines" | sed 's|\.\./baton|baton|')
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .executableTarget(name: "Counter", dependencies: [
            $(grep product <<<"$lines")
        ])
    ])
EOF
cd "$folder"
swift build >build.log 2>&1 || { cat build.log; exit 1; }
if grep -n warning: build.log | grep -v 'pkg-config\|system-packager\|apt-get'; then exit 1; fi
echo "resolved: $(ls .build/checkouts | tr '\n' ' ')"
for unwanted in hummingbird swift-nio-http2 swift-certificates swift-crypto swift-configuration swift-argument-parser; do
    [ ! -e ".build/checkouts/$unwanted" ] || { echo "$unwanted is resolved, and the library needs it for nothing" >&2; exit 1; }
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost \
    -days 2 2>/dev/null
rm -rf run
python3 "$here/scripts/websocket_deploys.py" 8443 .build/debug/Counter
