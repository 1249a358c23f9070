#!/usr/bin/env bash
# Makes sure that what builds the plugin of this folder exists, at the versions that are named here and in the folder's lock file,
# and gets what is missing, once, below the user's cache folder:
#
#   ./tools.sh wit         # bin/wit-bindgen, bin/wasm-tools, adapter.wasm: for Go and C, with cargo
#   ./tools.sh zig         # a C compiler with wasi-libc, with pip (requirements.txt)
#   ./tools.sh python      # componentize-py, with pip (requirements.txt)
#   ./tools.sh js          # componentize-js, with npm (package-lock.json)
#   ./tools.sh KIT built   # gets nothing, and tells by its exit code whether it is there
#
# stdout: the folder that holds it. stderr: everything else. Exits with 3, and says why, where it cannot be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${WASM_ISSUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasm-issuer}
kit=${1:?usage: ./tools.sh wit|zig|python|js [built]}

# Two of one family, so that they share what they are built of. The runtime of generated Go is in go.mod.
bindgen=wit-bindgen-cli@0.62.0 tools=wasm-tools@1.259.0 adapter=wasi-preview1-component-adapter-provider@50.0.1

say() { echo "tools: $*" >&2; }
die() { say "$*"; exit 3; }
needs() { command -v "$1" >/dev/null || die "not found: $1. $2"; }

# folder KIT: named by its lock file, or its versions.
folder() {
	local locked
	case $1 in
	wit) locked="$bindgen $tools $adapter" ;;
	zig | python) locked=$(<"$here/requirements.txt") ;;
	js) locked=$(<"$here/package-lock.json") ;;
	*) die "$1 is no kit: wit, zig, python, js" ;;
	esac
	echo "$cache/$1-$(sha256sum <<<"$locked" | cut -c1-12)"
}

# get_KIT FOLDER
get_wit() {
	needs cargo 'Install rustup: https://rustup.rs'
	unset CARGO_BUILD_TARGET RUSTFLAGS
	export CARGO_TARGET_DIR=$1/target
	cargo install --locked --root "$1" --no-default-features --features c,go "$bindgen"
	cargo install --locked --root "$1" --no-default-features --features component,metadata "$tools"
	# A crate that holds it as a file. Vendoring compares it with what the registry says.
	mkdir -p "$1/adapter/src"
	touch "$1/adapter/src/lib.rs"
	printf '[package]\nname = "adapter"\n[dependencies]\n%s = "=%s"\n[workspace]\n' "${adapter%@*}" "${adapter#*@}" >"$1/adapter/Cargo.toml"
	(cd "$1/adapter" && cargo vendor --quiet vendor >/dev/null)
	mv "$1/adapter/vendor/${adapter%@*}/artefacts/wasi_snapshot_preview1.reactor.wasm" "$1/adapter.wasm"
	rm -rf "$1/target" "$1/adapter"
}
get_zig() { get_pip "$1"; }
get_python() { get_pip "$1"; }
get_pip() {
	needs python3 'On Debian and Ubuntu: apt-get install python3-pip'
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-cache-dir --only-binary :all: --require-hashes \
		--target "$1" --requirement "$here/requirements.txt"
}
get_js() {
	needs npm 'Install Node.js 20 or later: https://nodejs.org'
	cp "$here"/package*.json "$1"
	npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
}

folder=$(folder "$kit")
if [ "${2:-}" = built ]; then
	[ -d "$folder" ]
	exit
fi
if [ ! -d "$folder" ]; then
	mkdir -p "$cache"
	exec 9>"$cache/lock-$kit"
	flock 9 # another one may be getting it
fi
if [ ! -d "$folder" ]; then
	work=$folder.tmp.$$
	trap 'code=$?; rm -rf "$work"; [ $code = 0 ] || die "the kit $kit cannot be had (see above)"' EXIT
	mkdir "$work"
	say "getting the kit $kit (once; wit takes 6 minutes on 2 cores, the others less than one)"
	"get_$kit" "$work" >&2 9>&-
	# Made aside, then renamed, so that it is either absent or whole.
	mv "$work" "$folder"
fi
echo "$folder"
