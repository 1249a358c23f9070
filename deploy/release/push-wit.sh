#!/usr/bin/env bash
# Publishes the contract, at the version that wit/world.wit names, with wasm-tools and wkg. One that is there stays: it has to be the same.
#
#   deploy/release/push-wit.sh REPOSITORY   # registry.example/wasm-issuer: plugin:0.1.0 goes there
set -euo pipefail
cd "$(dirname "$0")/../.."

repository=${1:?usage: deploy/release/push-wit.sh REPOSITORY}
reference=$repository/$(sed -n 's/^package [^:]*:\(.*\)@\(.*\);$/\1:\2/p' wit/world.wit)
options=(${PLAIN_HTTP:+--insecure "${repository%%/*}"})
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# With the packages in wit/deps, whatever a registry has of them.
wasm-tools component wit wit --wasm --output "$work/wit.wasm" >&2
if wkg oci pull "${options[@]}" "$reference" --output "$work/there.wasm" >"$work/said" 2>&1; then
	cmp "$work/wit.wasm" "$work/there.wasm" || { echo "release: $reference is another contract: it needs a version of its own" >&2; exit 1; }
	echo "$reference is there already" >&2
elif grep -qiE 'not ?found|unknown' "$work/said"; then
	wkg oci push "${options[@]}" "$reference" "$work/wit.wasm" >&2
else
	cat "$work/said" >&2
	exit 1
fi
echo "$reference"
