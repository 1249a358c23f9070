#!/usr/bin/env bash
# Makes sure that CFSSL's multirootca and cfssl exist, and builds what is missing, from the Go module at the
# version in server/go.mod (about 1 minute on 2 cores, once).
# stdout: the folder that holds them. stderr: everything else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=cfssl
source "$here/../go.sh"
module=github.com/cloudflare/cfssl
version=$(awk -v m="$module" '$1 == m { print $2 }' "$here/server/go.mod")
bin=$cache/cfssl-$version/bin
commands=(multirootca cfssl)

complete() {
	local command
	for command in "${commands[@]}"; do [ -x "$bin/$command" ] || return 1; done
}

complete || lock
if ! complete; then
	work=$bin.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work" "$bin"
	go_build "$here/server" CFSSL "1 minute on 2 cores" -mod=readonly -ldflags "-s -w" -o "$work/" "${commands[@]/#/$module/cmd/}" ||
		die "building CFSSL failed (see above)"
	# Written aside, then renamed, so that each is either absent or whole.
	mv "$work"/* "$bin"
fi

echo "$bin"
