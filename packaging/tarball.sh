#!/usr/bin/env bash
# An archive of the files below a prefix: packaging/tarball.sh BINARY VERSION FILE
set -euo pipefail
umask 022
binary=$1 version=$2 file=$3 here=$(dirname "$0")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
name=baton-$version
"$here/tree.sh" "$binary" "$tree/$name"
install -D -m 644 "$here/debian/baton.yaml" "$tree/$name/share/doc/baton/examples/service.yaml"
tar -C "$tree" -c --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" "$name" |
    gzip "-${GZIP_LEVEL:-9}n" >"$file"
