#!/usr/bin/env bash
# Fails if modules of a crate of the host import each other in a circle: the layers within a crate are nobody's to check
# otherwise. An import is a `use` of crate:: or super::; tests do not count, nor does that a module declares its children.
set -euo pipefail
cd "$(dirname "$0")/.."

# edges CRATE: lines of two modules, the one that imports and the imported one, as paths below src without `.rs`.
edges() {
	(
		cd "$1/src"
		find . -name '*.rs' | sed 's|^\./||' | grep -vE '(^|/)(tests|testing|fixtures)(/|\.rs$)' | sort | awk '
			function module(path,  parts, n, i) { # the longest module that a path of names begins with
				n = split(path, parts, "/")
				for (i = n; i > 0; i--) {
					if (path in files) return path
					sub(/\/?[^\/]*$/, "", path)
				}
				return ""
			}
			{ name = $0; sub(/\.rs$/, "", name); if (name != "lib" && name != "main") { files[name]; order[++count] = name } }
			END {
				for (f = 1; f <= count; f++) {
					file = order[f]
					while ((getline line < (file ".rs")) > 0) {
						if (line ~ /^#\[cfg\(test\)\]/) break # what follows is the tests
						if (line !~ /^(pub(\([a-z]+\))? )?use (crate|super)::/) continue
						sub(/^.*use /, "", line); sub(/[{;].*/, "", line); sub(/ as .*/, "", line); gsub(/::/, "/", line)
						base = file
						if (line ~ /^crate/) { base = ""; sub(/^crate\/?/, "", line) }
						while (sub(/^super\/?/, "", line)) if (!sub(/\/[^\/]*$/, "", base)) base = ""
						target = module(base == "" ? line : base "/" line)
						if (target != "" && target != file) print file, target
					}
				}
			}'
	) | sort -u
}

failed=0
for crate in host/*/; do
	if ! edges "$crate" | tsort >/dev/null 2>/tmp/circle.$$; then
		echo "circles: modules of $crate import each other in a circle:" >&2
		sed 's/^tsort: //' /tmp/circle.$$ >&2
		failed=1
	fi
	rm -f /tmp/circle.$$
done
exit $failed
