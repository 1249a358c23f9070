#!/usr/bin/env bash
# Builds the plugin: ./build.sh [FILE], which is plugin.wasm in this folder by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

out=$(realpath -m -- "${1:-plugin.wasm}")
tools=$(./tools.sh js)
# fetch-event: for servers. Without a world that exports one it has nothing to be called by.
"$tools/node_modules/.bin/componentize-js" plugin.js --wit wit --world-name issuer-plugin --disable fetch-event -o "$out" >&2
echo "$out"
