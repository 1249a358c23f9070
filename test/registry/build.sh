#!/usr/bin/env bash
# Makes sure that crane (with a registry in it), oras and the registry of main.go exist, and builds what is missing, from the
# Go modules at the versions in go.mod (about 1 minute on 2 cores, once).
# stdout: the folder that holds them. stderr: everything else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=registry
source "$here/../go.sh"
hash=$(cd "$here" && cat go.mod go.sum main.go | sha256sum | cut -c1-12)
folder=$cache/registry-$hash

[ -d "$folder" ] || lock
if [ ! -d "$folder" ]; then
	work=$folder.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"
	go_build "$here" "crane, oras and a registry" "1 minute on 2 cores" -mod=readonly -ldflags "-s -w" -o "$work/" tool . ||
		die "building crane, oras and the registry failed (see above)"
	# Written aside, then renamed, so that it is either absent or whole.
	mv "$work" "$folder"
fi
echo "$folder"
