#!/usr/bin/env bash
# Fails if this commit does not become the same bytes again.
#
#   deploy/release/reproduce.sh image FOLDER IMAGE   # the image, of the same files copied at another time by somebody else
#   deploy/release/reproduce.sh all FOLDER IMAGE     # the files too, built anew in other folders: as long as a first build takes
#
# FOLDER and IMAGE are what `make image` built.
set -euo pipefail
cd "$(dirname "$0")/../.."

what=${1:?usage: deploy/release/reproduce.sh image|all FOLDER IMAGE}
folder=$(cd "${2:?which folder?}" && pwd) image=${3:?which image?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

# build_again: from a clone, with a home and a target folder of cargo's own.
build_again() {
	git diff --quiet HEAD || { echo 'reproduce: commit first: a clone has only what is committed' >&2; exit 1; }
	git clone --quiet --local . "$work/clone"
	mkdir -p "$work/cargo"
	# What was downloaded is not downloaded again, and what will be comes from the same place.
	for each in registry config.toml; do
		[ ! -e "${CARGO_HOME:-$HOME/.cargo}/$each" ] || cp -r "${CARGO_HOME:-$HOME/.cargo}/$each" "$work/cargo/"
	done
	(cd "$folder/plugins" && ls) | sed 's/\.wasm$//; s/_/-/g' | CARGO_HOME=$work/cargo CARGO_TARGET_DIR=$work/target \
		xargs "$work/clone/deploy/release/build.sh" "$work/again"
}

case $what in
image) cp -r "$folder" "$work/again" ;;
all) build_again ;;
*) echo "reproduce: what is \"$what\"? See the first lines of this file" >&2; exit 2 ;;
esac

differ=0
while read -r file; do
	cmp "$folder/$file" "$work/again/$file" || differ=1
	(cd "$work/again" && sha256sum "$file")
done < <(cd "$folder" && find . -type f | sort)
first=$(deploy/image.sh build "$folder" "$image")
second=$(deploy/image.sh build "$work/again" "$image-again")
echo "$image is $first"
[ "$first" = "$second" ] || { echo "$image-again is $second"; differ=1; }
exit $differ
