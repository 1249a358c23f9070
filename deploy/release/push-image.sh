#!/usr/bin/env bash
# Builds the image for both platforms and pushes it as one, with buildah. stdout: its digest.
#
#   deploy/release/push-image.sh NAME TAG BUILT   # BUILT/linux-amd64/ and BUILT/linux-arm64/, as deploy/release/build.sh filled them
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${1:?usage: deploy/release/push-image.sh NAME TAG BUILT} tag=${2:?} built=${3:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -n "${STORAGE_DRIVER:-}" ] || buildah info >/dev/null 2>&1 || export STORAGE_DRIVER=vfs

buildah manifest rm "$name:$tag" >/dev/null 2>&1 || true
buildah manifest create "$name:$tag" >&2
for arch in amd64 arm64; do
	mkdir "$work/$arch"
	cp "$built/linux-$arch/wasm-issuer" "$work/$arch/"
	# The same on both: what statuses say of a builtin plugin must not depend on the node.
	cp -r "$built/linux-amd64/plugins" "$work/$arch/"
	deploy/image.sh build "$work/$arch" "$name:$tag-$arch" "$arch" >&2
	buildah manifest add "$name:$tag" "containers-storage:$name:$tag-$arch" >&2
done
buildah manifest push --all --format oci ${PLAIN_HTTP:+--tls-verify=false} --digestfile "$work/digest" "$name:$tag" "docker://$name:$tag" >&2
cat "$work/digest"
