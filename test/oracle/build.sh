#!/usr/bin/env bash
# Makes sure that the oracle exists, which says what cert-manager makes of CSRs and CA Secrets, and builds it if it is
# missing. Where the Go module proxy does not serve cert-manager at the version in go.mod, the oracle is crypto/x509 alone.
# stdout: the oracle's path. stderr: everything else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=oracle
source "$here/../go.sh"
hash=$(cd "$here" && { uname -sm && go version && cat build.sh go.* ./*.go; } | sha256sum | cut -c1-12)
oracle=$cache/oracle-$hash/oracle
plain=$cache/oracle-$hash/plain

# Without cert-manager for an hour, so that not every run asks the proxy again.
settled() { [ -x "$oracle" ] || [ -n "$(find "$plain" -mmin -60 2>/dev/null)" ]; }

settled || lock
if ! settled; then
	work=$oracle.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"
	cp "$here"/go.* "$here"/*.go "$work"
	if output=$(cd "$work" && go list -mod=readonly -tags certmanager -deps . 2>&1 >/dev/null 9>&-); then
		go_build "$work" oracle "half a minute on 2 cores" -mod=readonly -tags certmanager -ldflags "-s -w" -o oracle . ||
			die "building the oracle failed (see above)"
		mv "$work/oracle" "$oracle"
	else
		is_refused "$output" || die "downloading cert-manager failed: $output"
		say "the Go module proxy does not serve cert-manager: crypto/x509 alone is asked"
		rm "$work"/go.*
		printf 'module wasm-issuer.dev/test/oracle\n\n%s\n' "$(grep '^go ' "$here/go.mod")" >"$work/go.mod"
		go_build "$work" oracle "a few seconds" -o plain . || die "building the oracle failed (see above)"
		mv "$work/plain" "$plain"
	fi
fi

if [ -x "$oracle" ]; then echo "$oracle"; else echo "$plain"; fi
