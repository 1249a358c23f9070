#!/usr/bin/env bash
# Runs a command that runs tests, shows its output and, in the end, what came of it: cargo's own result lines, which tests
# were skipped and why, and as the last line the sums. Exits with the command's exit code.
#
#   test/summary.sh COMMAND ARGS...
set -uo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}

echo '--- summary'
grep -E '^(test result:|     Running|   Doc-tests)' "$log"
# `is skipped` is what test/e2e's skip() writes; the harness counts such a test as passed.
skips() { grep -oE 'test [^ ]+ is skipped: .*' "$log"; }
skipped=$(skips | wc -l)
if [ "$skipped" -gt 0 ]; then
	echo
	echo "!!! $skipped tests had nothing to do here:"
	skips | sed 's|.* is skipped: ||' | sort | uniq -c | sed 's/^ *\([0-9]*\) /!!!   \1 skipped: /'
	echo
fi
[ "$code" = 0 ] || echo "the tests failed: exit code $code (see above)"
sed -nE 's/^test result: [^ ]+ ([0-9]+) passed; ([0-9]+) failed;.*/\1 \2/p' "$log" |
	awk -v skipped="$skipped" '{ p += $1; f += $2 } END { printf "%d passed, %d failed, %d skipped\n", p - skipped, f, skipped }'
exit "$code"
