#!/usr/bin/env bash
# Builds the plugin: ./build.sh [FILE], which is plugin.wasm in this folder by default. CC is another compiler
# for wasm32-wasi, such as clang with wasi-libc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

out=$(realpath -m -- "${1:-plugin.wasm}")
tools=$(./tools.sh wit)
zig=${CC:-$(./tools.sh zig)/ziglang/zig cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$tools/bin/wit-bindgen" c --world author --out-dir "$work" wit >&2
# A library without a main; what is not called is left out. A stack of 128 KiB, where zig has one of 16 MiB.
# shellcheck disable=SC2086 # CC may have arguments
$zig --target=wasm32-wasi -mexec-model=reactor -Os -flto -Wall -Wextra -Wl,--gc-sections,-z,stack-size=131072 -s -I "$work" \
	./*.c "$work/author.c" "$work/author_component_type.o" -o "$work/core.wasm"
"$tools/bin/wasm-tools" component new "$work/core.wasm" --adapt "wasi_snapshot_preview1=$tools/adapter.wasm" -o "$out"
echo "$out"
