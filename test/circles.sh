#!/usr/bin/env bash
# Fails if modules of a crate of the host import each other in a circle: the layers within a crate are nobody's to check
# otherwise. An import is a `use` of the crate's own modules, or such a path in the code, followed through re-exports to
# the module that it ends in. Not one is that a module re-exports what its children hold. Tests do not count.
set -euo pipefail
cd "$(dirname "$0")/.."

# edges CRATE: lines of two modules, the one that imports and the imported one, as paths below src without `.rs`.
edges() {
	(
		cd "$1/src"
		find . -name '*.rs' | sed 's|^\./||' | grep -vE '(^|/)((.*_)?tests|testing|fixtures)(/|\.rs$)|^main\.rs$' | sort | awk '
			function join(module, name) { return module == "" ? name : module "/" name }

			# The module that a path in file ends in; "-" if it leads out of the crate.
			function resolve(file, path, depth,  names, count, i, here) {
				count = split(path, names, "::")
				here = file
				if (names[1] == "crate") { here = ""; i = 2 }
				else if (names[1] == "self") i = 2
				else if (names[1] == "super") for (i = 1; names[i] == "super"; i++) { if (!sub(/\/[^\/]*$/, "", here)) here = "" }
				else if (join(file, names[1]) in files) i = 1
				else return "-"
				for (; i <= count; i++) {
					if (join(here, names[i]) in files) here = join(here, names[i])
					else if (depth < 8 && (here, names[i]) in bound) {
						# What the module imports under this name itself.
						here = resolve(here, bound[here, names[i]], depth + 1)
						if (here == "-") return here
					} else break
				}
				return here
			}

			# Splits the tree of a `use` into its paths, and notes which name each one binds.
			function expand(file, reexport, prefix, tree,  open, level, i, c, start) {
				gsub(/^ +| +$/, "", tree)
				if (tree == "") return
				open = index(tree, "{")
				if (open == 0) { bind(file, reexport, prefix tree); return }
				prefix = prefix substr(tree, 1, open - 1)
				start = open + 1
				for (i = start; i <= length(tree); i++) {
					c = substr(tree, i, 1)
					if (c == "{") level++
					if (c == "," && level == 0 || c == "}" && level-- == 0) {
						expand(file, reexport, prefix, substr(tree, start, i - start))
						start = i + 1
					}
				}
			}
			function bind(file, reexport, path,  name) {
				name = path
				if (sub(/ as .*/, "", path)) sub(/.* as /, "", name)
				else { sub(/::(self|\*)$/, "", name); sub(/.*::/, "", name) }
				sub(/::(self|\*)$/, "", path)
				if (path ~ /::/ || join(file, path) in files) {
					bound[file, name] = path
					imports[++import_count] = file SUBSEP path SUBSEP reexport
				}
			}

			# Notes the paths in a line of code that begin in the crate.
			function inline(file, line,  path) {
				while (match(line, /[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)+/)) {
					path = substr(line, RSTART, RLENGTH)
					line = substr(line, RSTART + RLENGTH)
					imports[++import_count] = file SUBSEP path SUBSEP 0
				}
			}

			function scan(file, path,  line, statement, reexport, skip, indent) {
				skip = ""
				while ((getline line < path) > 0) {
					gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
					sub(/\/\/.*/, "", line)
					indent = line; sub(/[^ ].*/, "", indent)
					if (skip == "next" && line ~ /^ *#\[/) continue
					if (skip == "next") { # the item that is for tests only: a line, or all that it encloses
						skip = line ~ /[;,}] *$/ ? "" : "until " indent "}"
						continue
					}
					if (skip != "") { if ("until " line == skip) skip = ""; continue }
					if (line ~ /^ *#\[cfg\(test\)\]/) { skip = "next"; continue }
					if (statement == "" && line !~ /^ *(pub(\([a-z]+\))? )?use /) { inline(file, line); continue }
					statement = statement " " line
					if (statement !~ /;/) continue
					reexport = statement ~ /^ *pub/
					sub(/^.*use /, "", statement); sub(/;.*/, "", statement)
					expand(file, reexport, "", statement)
					statement = ""
				}
				close(path)
			}

			{ name = $0; sub(/\.rs$/, "", name); if (name == "lib") name = ""; files[name] = $0 }
			END {
				for (file in files) scan(file, files[file])
				for (i = 1; i <= import_count; i++) {
					split(imports[i], import, SUBSEP)
					target = resolve(import[1], import[2], 0)
					if (target == "-" || target == import[1]) continue
					if (import[3] && (import[1] == "" || index(target, import[1] "/") == 1)) continue
					print (import[1] == "" ? "lib" : import[1]), (target == "" ? "lib" : target)
				}
			}'
	) | sort -u
}

failed=0
for crate in host/*/; do
	if ! circle=$(edges "$crate" | tsort 2>&1 >/dev/null); then
		echo "circles: modules of $crate import each other in a circle:" >&2
		sed 's/^tsort: //' <<<"$circle" >&2
		failed=1
	fi
done
exit $failed
