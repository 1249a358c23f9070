#!/usr/bin/env bash
# Makes the files of a release: the command line for each platform, the plugins, what they are made of, the manifests, and the sums
# of all.
#
#   deploy/release/archive.sh VERSION BUILT OUT
#
# BUILT/linux-amd64/ and so on are as deploy/release/build.sh filled them, BUILT/sbom/ as deploy/release/sbom.sh did.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=${1:?usage: deploy/release/archive.sh VERSION BUILT OUT} built=${2:?} out=${3:?}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

for binary in "$built"/*/wasm-issuer; do
	platform=$(basename "$(dirname "$binary")")
	name=wasm-issuer-$version-$platform
	install -D -m 755 "$binary" "$work/$name/wasm-issuer"
	install -m 644 LICENSE CHANGELOG.md "$work/$name/"
	tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=gnu -c "$name" |
		gzip -9n >"$out/$name.tar.gz"
done
install -m 644 "$built"/linux-amd64/plugins/*.wasm "$built"/sbom/*.json "$out/"
for manifest in deploy/install.yaml deploy/crds.yaml; do
	[ ! -e "$manifest" ] || install -m 644 "$manifest" "$out/"
done
(cd "$out" && rm -f SHA256SUMS && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
