#!/usr/bin/env bash
# Builds the image from what deploy/release/build.sh built, with buildah, or with docker where buildah is not there. The same files
# of the same commit become the same image. stdout: its ID.
#
#   deploy/image.sh build FOLDER IMAGE [ARCHITECTURE]   # amd64 or arm64; default: this machine's
#   deploy/image.sh unpack IMAGE FOLDER                 # what the image holds, and its configuration as FOLDER.json
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "image: $*" >&2; exit 1; }

# A kernel or container that overlays cannot be mounted in still has folders to copy.
if command -v buildah >/dev/null; then
	tool=buildah
	export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
	[ -n "${STORAGE_DRIVER:-}" ] || buildah info >/dev/null 2>&1 || export STORAGE_DRIVER=vfs
elif docker info >/dev/null 2>&1; then
	tool=docker
	export DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1
else
	fail 'neither buildah nor docker with its daemon is here. On Debian, Ubuntu and Fedora: install the package buildah'
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
	local files image=$2 arch=${3:-} version revision
	files=$(cd "$1" && pwd)
	[ -n "$arch" ] || case $(uname -m) in
	x86_64) arch=amd64 ;;
	aarch64) arch=arm64 ;;
	*) fail "there is no image for $(uname -m)" ;;
	esac
	cd "$here/.."
	version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
	revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null) || revision=unknown
	# Nothing in the image is newer than its commit.
	export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

	install -d -m 755 "$work/root" "$work/root/plugins"
	install -m 755 "$files/wasm-issuer" "$work/root/"
	install -m 644 LICENSE "$work/root/"
	install -m 644 "$files"/plugins/*.wasm "$work/root/plugins/"
	find "$work/root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

	local arguments=(--platform "linux/$arch" --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
		--file deploy/Containerfile --tag "$image")
	if [ $tool = buildah ]; then
		buildah build --quiet --format oci --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false "${arguments[@]}" "$work" >/dev/null
		buildah inspect --type image --format 'sha256:{{.FromImageID}}' "$image"
	else
		docker build --quiet --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" "${arguments[@]}" "$work" >/dev/null
		docker image inspect --format '{{.Id}}' "$image"
	fi
}

unpack() {
	local image=$1 folder=$2 container
	mkdir "$folder"
	if [ $tool = buildah ]; then
		container=$(buildah from --pull=never "$image")
		cp -a "$(buildah mount "$container")/." "$folder/"
		buildah rm "$container" >/dev/null
		buildah inspect --type image "$image" | tr -d ' \n' >"$folder.json"
	else
		container=$(docker create --pull never "$image")
		docker export "$container" | tar -x -C "$folder"
		docker rm "$container" >/dev/null
		docker image inspect "$image" | tr -d ' \n' >"$folder.json"
	fi
}

case ${1:-} in
build | unpack) "$@" ;;
*) fail "what is \"${1:-}\"? See the first lines of this file" ;;
esac
