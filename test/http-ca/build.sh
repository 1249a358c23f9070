#!/usr/bin/env bash
# Makes sure that http-ca exists, and builds it if it does not (some seconds: it needs nothing but Go).
# stdout: the folder that holds it. stderr: everything else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=http-ca
source "$here/../go.sh"
hash=$(cd "$here" && { uname -sm && go version && cat go.mod ./*.go; } | sha256sum | cut -c1-12)
folder=$cache/http-ca-$hash

[ -d "$folder" ] || lock
if [ ! -d "$folder" ]; then
	work=$folder.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"
	go_build "$here" http-ca "a quarter of a minute on 2 cores" -o "$work/" . || die "building http-ca failed (see above)"
	# Written aside, then renamed, so that it is either absent or whole.
	mv "$work" "$folder"
fi
echo "$folder"
