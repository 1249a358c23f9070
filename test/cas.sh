#!/usr/bin/env bash
# Makes sure that the servers exist which tests of the plugins for real CAs run against, one folder of test/cas each, and
# builds what is missing. A server that cannot be had is left out, loudly. Another failure is one.
#
#   test/cas.sh [built]   # built: builds nothing, and tells by its exit code whether all of them are there
set -euo pipefail
cd "$(dirname "$0")"

if [ "${1:-}" = built ]; then
	for build in cas/*/build.sh; do
		"$build" built || exit 1
	done
	exit
fi
left_out=()
for build in cas/*/build.sh; do
	code=0
	"$build" >/dev/null || code=$?
	case $code in
	0) ;;
	3) left_out+=("$(basename "$(dirname "$build")")") ;; # what a build.sh says where something cannot be had
	*) exit "$code" ;;
	esac
done
if [ ${#left_out[@]} -gt 0 ]; then
	printf '\n!!! without these CAs: %s. They cannot be had (see above)\n\n' "${left_out[*]}" >&2
fi
