#!/usr/bin/env bash
# Lists what is in the image, as CycloneDX: the operator with the crates that it is made of on Linux, and the plugins with theirs.
#
#   deploy/release/sbom.sh FOLDER PLUGIN...   # FOLDER/wasm-issuer.cdx.json and so on; needs cargo-cyclonedx
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=${1:?usage: deploy/release/sbom.sh FOLDER PLUGIN...}
shift
mkdir -p "$folder"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

# list MANIFEST TARGET NAME
list() {
	cargo cyclonedx --quiet --manifest-path "$1" --target "$2" --format json --spec-version 1.5 --no-build-deps --override-filename released
	# It writes one for each package of the workspace.
	mv "$(dirname "$1")/released.json" "$folder/$3.cdx.json"
	git ls-files --others '*/released.json' | xargs -r rm
}
list host/wasm-issuer/Cargo.toml x86_64-unknown-linux-musl wasm-issuer
for plugin; do list "plugins/$plugin/Cargo.toml" wasm32-wasip2 "$plugin"; done
