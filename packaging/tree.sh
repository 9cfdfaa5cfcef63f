#!/usr/bin/env bash
# The files that every package has: packaging/tree.sh BINARY FOLDER
# FOLDER gets bin, share and lib/systemd/system, as they lie below a prefix.
set -euo pipefail
binary=$1 folder=$2 here=$(dirname "$0")
install -D -m 755 "$binary" "$folder/bin/baton"
for page in $("$binary" manual); do
    manual=$folder/share/man/man${page##*.}/$page.gz
    mkdir -p "$(dirname "$manual")"
    "$binary" manual "$page" | gzip -9n >"$manual"
done
completions() {
    mkdir -p "$(dirname "$folder/share/$2")"
    # They are read, not run.
    "$binary" --generate-completion-script "$1" | sed '1{/^#!/d}' >"$folder/share/$2"
}
completions bash bash-completion/completions/baton
completions zsh zsh/vendor-completions/_baton
completions fish fish/vendor_completions.d/baton.fish
install -D -m 644 -t "$folder/share/doc/baton" "$here"/../docs/{serve,configuration,install,drain}.md
install -D -m 644 -t "$folder/share/doc/baton/examples" "$here/../docs/examples/baton.yaml"
gzip -9nc "$here/../CHANGELOG.md" >"$folder/share/doc/baton/CHANGELOG.md.gz"
install -m 644 "$here/debian/copyright" "$folder/share/doc/baton"
install -D -m 644 -t "$folder/lib/systemd/system" "$here"/../docs/baton.{service,socket}
