#!/usr/bin/env bash
# The blocks of README.md that are called `sh test=NAME`, in their order (test/docs runs them, too):
#
#   .github/scripts/readme.sh NAME
set -euo pipefail
cd "$(dirname "$0")/../.."
awk -v name="${1:?usage: .github/scripts/readme.sh NAME}" '
	/^```/ { inside = !inside && $1 == "```sh" && $2 == "test=" name; next }
	inside' README.md
