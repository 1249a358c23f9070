#!/usr/bin/env bash
# Builds the plugins of plugins/examples, each with the tools of its language, which are got once (plugins/examples/tools.sh):
#
#   test/languages.sh FOLDER   # go.wasm, js.wasm, python.wasm and c.wasm
#   test/languages.sh built    # builds nothing, and tells by its exit code whether the tools of all of them are there
#
# A language whose tools cannot be had is left out, loudly. Another failure is one.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:?usage: test/languages.sh FOLDER|built}
if [ "$folder" = built ]; then
	for kit in go/wit c/wit c/zig js/js python/python; do
		"plugins/examples/${kit%/*}/tools.sh" "${kit#*/}" built || exit 1
	done
	exit
fi
mkdir -p "$folder"
left_out=()
for build in plugins/examples/*/build.sh; do
	language=$(basename "$(dirname "$build")")
	component=$folder/$language.wasm
	made_of=$(find wit plugins/examples/tools.sh "plugins/examples/$language" -type f ! -name '*.wasm' ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
	[ "$(cat "$component.made-of" 2>/dev/null)" != "$made_of" ] || continue
	rm -f "$component" "$component.made-of"
	code=0
	"$build" "$component" >&2 || code=$?
	case $code in
	0) echo "$made_of" >"$component.made-of" ;;
	3) left_out+=("$language") ;; # what tools.sh says where something cannot be had
	*) exit "$code" ;;
	esac
done
if [ ${#left_out[@]} -gt 0 ]; then
	printf '\n!!! plugins in %s are left out: their tools cannot be had (see above)\n\n' "${left_out[*]}" >&2
fi
