#!/usr/bin/env bash
# Makes sure that CFSSL's multirootca and cfssl exist, and builds what is missing, from the Go module at the
# version in server/go.mod (about 1 minute on 2 cores, once).
# stdout: the folder that holds them. stderr: everything else.
#
#   WASM_ISSUER_CACHE   where builds are kept (default: ${XDG_CACHE_HOME:-~/.cache}/wasm-issuer)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${WASM_ISSUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasm-issuer}
module=github.com/cloudflare/cfssl
version=$(awk -v m="$module" '$1 == m { print $2 }' "$here/server/go.mod")
bin=$cache/cfssl-$version/bin
commands=(multirootca cfssl)

say() { echo "cfssl: $*" >&2; }
die() { say "$*"; exit 1; }

complete() {
	local command
	for command in "${commands[@]}"; do [ -x "$bin/$command" ] || return 1; done
}

if ! complete; then
	command -v go >/dev/null || die "Go is needed to build CFSSL: https://go.dev/doc/install"
	mkdir -p "$bin"
	# One build at a time: two would compile the same packages twice.
	exec 9>"$cache/lock"
	flock -n 9 || { say "waiting for another build to finish"; flock 9; }
fi
if ! complete; then
	say "building CFSSL $version: ${commands[*]} (once; usually 1 minute on 2 cores)"
	work=$bin.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"
	# 9>&-: nothing that go leaves behind may keep the lock. -buildvcs: the commit that is checked out must not matter.
	(cd "$here/server" && GOWORK=off CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags "-s -w" \
		-o "$work/" "${commands[@]/#/$module/cmd/}") >&2 9>&- || die "building CFSSL failed (see above)"
	# Written aside, then renamed, so that each is either absent or whole.
	mv "$work"/* "$bin"
	say "built CFSSL in $SECONDS s"
fi

echo "$bin"
