#!/usr/bin/env bash
# Makes sure that promtool exists. stdout: its path. stderr: everything else. Fails, and says so, if it cannot be had: neither
# in PATH, nor at the version in promtool/go.mod from the Go module proxy, nor from the packages of Debian or Ubuntu.
set -euo pipefail

topic=promtool
source "$(dirname "${BASH_SOURCE[0]}")/go.sh"

if command -v promtool; then exit; fi
hash=$(cd "$tests/promtool" && { uname -sm && go version && cat go.*; } | sha256sum | cut -c1-12)
folder=$cache/promtool-$hash
built() { [ -x "$folder/promtool" ]; }

# from_go: fails, and tells why, where the proxy does not serve all of it.
from_go() {
	local output
	cp "$tests"/promtool/go.* "$work"
	if ! output=$(cd "$work" && go list -mod=readonly -deps tool 2>&1 >/dev/null 9>&-); then
		say "not from the Go module proxy: $(tail -n 1 <<<"$output")"
		return 1
	fi
	go_build "$work" promtool '8 minutes on 2 cores' -mod=readonly -ldflags '-s -w' -o promtool tool
}

from_debian() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { say 'no packages of Debian here'; return 1; }
	(cd "$work" && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb . && mv usr/bin/promtool .) >&2 9>&-
}

built || lock
if ! built; then
	work=$folder.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"
	from_go || from_debian || die 'it cannot be had: install promtool, which is part of Prometheus, into PATH'
	mkdir -p "$folder"
	mv "$work/promtool" "$folder/promtool"
fi
echo "$folder/promtool"
