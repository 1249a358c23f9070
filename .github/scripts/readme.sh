#!/usr/bin/env bash
# The commands of a section of README.md that begin with a word, one a line: what is indented, or in a block of sh.
#
#   .github/scripts/readme.sh SECTION WORD
set -euo pipefail
cd "$(dirname "$0")/../.."
awk -v section="## ${1:?usage: .github/scripts/readme.sh SECTION WORD}" -v word="${2:?}" '
	/^## / { inside = $0 == section }
	/^```/ { block = !block && $0 ~ /^```(sh|bash|console)?$/ ; next }
	!inside || !(block || /^    /) { next }
	{ sub(/^ +/, ""); line = line $0 }
	/\\$/ { sub(/\\$/, "", line); next }
	{ if (index(line, word " ") == 1) print line; line = "" }' README.md
