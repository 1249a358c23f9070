#!/usr/bin/env bash
# What CHANGELOG.md says of a version, without its heading.
#
#   deploy/release/notes.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/../.."
awk -v version="${1:?usage: deploy/release/notes.sh VERSION}" '
	/^## / { inside = $2 == version; next }
	inside && (started || NF) { started = 1; print }' CHANGELOG.md
