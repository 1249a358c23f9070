#!/usr/bin/env bash
# Makes sure that the peer exists, the issuer in Go that `make bench` compares with, and builds it if it is missing.
# stdout: its path, or an empty line if one of its modules cannot be had. stderr: everything else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=bench
source "$here/../go.sh"
hash=$(cd "$here" && { uname -sm && go version && cat build.sh peer/go.* peer/*.go; } | sha256sum | cut -c1-12)
peer=$cache/peer-$hash/peer
refused=$cache/peer-$hash/refused
# What the proxy serves changes from day to day. The first is the one of go.mod and go.sum; issuer-lib's own is not served.
cert_manager_module=github.com/cert-manager/cert-manager
cert_manager_versions=(v1.21.2 v1.21.1)

# Built, or refused less than an hour ago, so that not every run asks the proxy again.
settled() { [ -x "$peer" ] || [ -n "$(find "$refused" -mmin -60 2>/dev/null)" ]; }

settled || lock
if ! settled; then
	work=$peer.tmp.$$
	trap 'rm -rf "$work"' EXIT
	for version in "${cert_manager_versions[@]}"; do
		rm -rf "$work"
		mkdir -p "$work"
		cp "$here"/peer/go.* "$here"/peer/*.go "$work"
		say "downloading issuer-lib with cert-manager $version"
		if output=$(cd "$work" && go mod edit -require="$cert_manager_module@$version" 2>&1 9>&- &&
			go list -mod=mod -deps . 2>&1 >/dev/null 9>&-); then
			go_build "$work" peer "1 minute on 2 cores" -mod=mod -ldflags "-s -w" -o peer . ||
				die "building the peer failed (see above)"
			mv "$work/peer" "$peer"
			break
		fi
		is_refused "$output" || die "downloading issuer-lib failed: $output"
		say "the Go module proxy does not serve all of issuer-lib with cert-manager $version"
	done
	[ -x "$peer" ] || touch "$refused"
fi

if [ -x "$peer" ]; then
	echo "$peer"
else
	say "no version of issuer-lib is to be had: going on without the peer"
	echo
fi
