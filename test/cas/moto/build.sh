#!/usr/bin/env bash
# Makes sure that moto's AWS Private CA exists, and gets what is missing with pip, at the versions in requirements.txt (once).
# stdout: the folder that holds it, as `moto`. stderr: everything else. Exits with 3, and says why, where it cannot be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${WASM_ISSUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasm-issuer}

say() { echo "moto: $*" >&2; }
command -v python3 >/dev/null || { say "not found: python3. On Debian and Ubuntu: apt-get install python3-pip"; exit 3; }

folder=$cache/moto-$(cat "$here"/{build.sh,requirements.txt,server.py} <(python3 --version) | sha256sum | cut -c1-12)
if [ "${1:-}" = built ]; then # builds nothing, and tells by its exit code
	[ -d "$folder" ]
	exit
fi
if [ ! -d "$folder" ]; then
	mkdir -p "$cache"
	exec 9>"$cache/lock-moto"
	flock 9 # another one may be getting it
fi
if [ ! -d "$folder" ]; then
	work=$folder.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir "$work"
	say "getting moto (once; half a minute)"
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-cache-dir --only-binary :all: \
		--require-hashes --target "$work/lib" --requirement "$here/requirements.txt" >&2 9>&- || { say "pip cannot get it (see above)"; exit 3; }
	cp "$here/server.py" "$work"
	cat >"$work/moto" <<-'EOF'
		#!/bin/sh
		folder=$(dirname "$0")
		PYTHONPATH=$folder/lib exec python3 "$folder/server.py" "$@"
	EOF
	chmod +x "$work/moto"
	# Made aside, then renamed, so that it is either absent or whole.
	mv "$work" "$folder"
fi
echo "$folder"
