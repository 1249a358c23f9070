#!/usr/bin/env bash
# Builds the plugin: ./build.sh [FILE], which is plugin.wasm in this folder by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

out=$(realpath -m -- "${1:-plugin.wasm}")
tools=$(./tools.sh wit)
wit=$PWD/wit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The bindings, and the plugin as a package among theirs, at the versions that are locked here.
"$tools/bin/wit-bindgen" go --world author --out-dir "$work" "$wit" >&2
cp go.mod go.sum "$work"
package=$work/export_wasm_issuer_plugin_signer
mkdir -p "$package"
cp ./*.go "$package"
# -checklinkname=0: the bindings allocate through the runtime, before it has begun.
(cd "$work" && GOWORK=off GOFLAGS=-buildvcs=false GOOS=wasip1 GOARCH=wasm \
	go build -mod=readonly -trimpath -buildmode=c-shared -ldflags='-s -w -checklinkname=0' -o core.wasm .)

# Go speaks WASI 0.1, which the adapter turns into what the operator has.
"$tools/bin/wasm-tools" component embed "$wit" --world author "$work/core.wasm" -o "$work/embedded.wasm"
"$tools/bin/wasm-tools" component new "$work/embedded.wasm" \
	--adapt "wasi_snapshot_preview1=$tools/adapter.wasm" -o "$out"
echo "$out"
