#!/usr/bin/env bash
# Fails unless all that names a version names the one of this tag. stdout: the version.
#
#   deploy/release/check.sh TAG   # v0.1.0
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=${1:?usage: deploy/release/check.sh TAG}
version=${tag#v}
failed=0
# same FILE WHAT FOUND
same() { [ "$3" = "$version" ] || { echo "release: $1: $2 is \"$3\", and the tag is $tag" >&2; failed=1; }; }

[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?$ ]] || { echo "release: $tag is no version with a v before it" >&2; failed=1; }
same Cargo.toml 'the version of the workspace' "$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
same CHANGELOG.md 'the newest section' "$(sed -n 's/^## \([^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)"
same deploy/install.yaml "the image's tag" "$(sed -n 's/^ *image: .*:\([^:]*\)$/\1/p' deploy/install.yaml | tr -d '"' | sort -u)"
for chart in deploy/chart*/Chart.yaml; do
	[ -e "$chart" ] || continue
	same "$chart" version "$(sed -n 's/^version: *//p' "$chart" | tr -d '"')"
	same "$chart" appVersion "$(sed -n 's/^appVersion: *//p' "$chart" | tr -d '"')"
done
[ -n "$(deploy/release/notes.sh "$version")" ] || { echo "release: CHANGELOG.md has nothing under $version" >&2; failed=1; }
[ $failed = 0 ]
echo "$version"
