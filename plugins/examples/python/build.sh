#!/usr/bin/env bash
# Builds the plugin: ./build.sh [FILE], which is plugin.wasm in this folder by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

out=$(realpath -m -- "${1:-plugin.wasm}")
tools=$(./tools.sh python)
PYTHONPATH=$tools "$tools/bin/componentize-py" --wit-path wit --world author componentize plugin \
	--python-path . --output "$out" >&2
echo "$out"
