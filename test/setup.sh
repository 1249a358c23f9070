#!/usr/bin/env bash
# Makes sure, in the first seconds, that what builds need is there: installs through rustup what rust-toolchain.toml asks
# for, and tells for everything else that is missing which command to run.
#
#   test/setup.sh [go] [static] [image]   # also what builds the test cluster, the static binary, the image from that
set -euo pipefail
cd "$(dirname "$0")/.."

missing=0
say() { printf 'setup: %s\n' "$*" >&2; }
lacks() { say "$*"; missing=1; }
has() { command -v "$1" >/dev/null; }
# at_least VERSION MINIMUM
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }
# The value of a key of rust-toolchain.toml, with a list's entries one to a line.
wanted() { sed -n "s/^$1 *= *//p" rust-toolchain.toml | tr -d '[]" ' | tr , '\n'; }

check_tools() {
	local tool packages=()
	for tool in "$@"; do
		has "$tool" || packages+=("$tool")
	done
	[ ${#packages[@]} -gt 0 ] || return 0
	lacks "not found: ${packages[*]}. On Debian and Ubuntu: apt-get install git make gcc libc6-dev util-linux. On Fedora: dnf install git make gcc util-linux"
}

# rust_lacks: what of rust-toolchain.toml is not there, as arguments for rustup, one to a line; nothing if all is.
rust_lacks() {
	local version item
	# One that is too old is another one, in front of rustup's: adding to it what it lacks would not help.
	version=$(rustc --version 2>/dev/null | sed 's/^rustc \([0-9.]*\).*/\1/') || version=
	if [ -z "$version" ] || ! at_least "$version" "$channel" || ! cargo --version >/dev/null 2>&1; then
		echo "toolchain install $channel --no-self-update --profile minimal --component ${components//$'\n'/,} --target ${targets//$'\n'/,}"
		return
	fi
	for item in $components; do
		cargo "${item/rustfmt/fmt}" --version >/dev/null 2>&1 || echo "component add $item"
	done
	for item in $targets; do
		[ -d "$(rustc --print target-libdir --target "$item" 2>/dev/null)" ] || echo "target add $item"
	done
}

check_rust() {
	local channel components targets lack line version bin=${CARGO_HOME:-$HOME/.cargo}/bin
	channel=$(wanted channel) components=$(wanted components) targets=$(wanted targets)
	[ -z "$static" ] || targets+=$'\n'$static
	lack=$(rust_lacks)
	if [ -n "$lack" ] && ! has rustup; then
		if [ -x "$bin/rustup" ]; then
			lacks "rustup is not in PATH: export PATH=\"$bin:\$PATH\""
		else
			lacks "not found: Rust $channel with ${components//$'\n'/, } and ${targets//$'\n'/, }. Install rustup, which gets the rest here: https://rustup.rs"
		fi
		return
	fi
	while read -r line; do
		[ -n "$line" ] || continue
		say "rustup $line"
		# shellcheck disable=SC2086 # words, as rust_lacks wrote them
		rustup $line >&2 </dev/null || { lacks "rustup failed (see above). Once it can: rustup $line"; return; }
	done <<<"$lack"
	[ -z "$lack" ] || lack=$(rust_lacks)
	version=$(rustc --version 2>/dev/null | sed 's/^rustc \([0-9.]*\).*/\1/') || version=none
	if [ -n "$lack" ] || ! at_least "$version" "$channel"; then
		lacks "$(command -v rustc || echo rustc) is $version, and Rust $channel with ${components//$'\n'/, } and ${targets//$'\n'/, } is needed: export PATH=\"$bin:\$PATH\"${RUSTUP_TOOLCHAIN:+, and unset RUSTUP_TOOLCHAIN}"
	fi
}

# Go changes to the version that a module asks for by itself, unless GOTOOLCHAIN forbids it.
check_go() {
	local needed version
	has go || { lacks "not found: Go. Install it: https://go.dev/doc/install"; return; }
	needed=$(sed -n 's/^go //p' test/*/*/go.mod | sort -V | tail -n 1)
	version=$(cd test/cluster/launcher && GOWORK=off go env GOVERSION) || version=none
	version=${version#go}
	version=${version%%[ -]*}
	at_least "$version" "$needed" ||
		lacks "Go is $version, and $needed or later is needed: https://go.dev/doc/install (or let Go get it: export GOTOOLCHAIN=auto)"
}

check_static() {
	has musl-gcc || lacks 'not found: musl-gcc. On Debian and Ubuntu: apt-get install musl-tools. On Fedora: dnf install musl-gcc'
}

check_image() {
	has buildah || docker info >/dev/null 2>&1 ||
		lacks 'not found: buildah, or docker with its daemon. On Debian and Ubuntu: apt-get install buildah. On Fedora: dnf install buildah'
}

# rustup's own installing: some switch it off, and it leaves out the targets of a toolchain that is there. So not here.
export RUSTUP_AUTO_INSTALL=0
[ -n "${HOME:-}" ] || { lacks "HOME is not set: export HOME=\$(getent passwd \"\$(id -u)\" | cut -d: -f6)"; exit 1; }
check_tools git make cc flock
static=
[[ " $* " != *' static '* ]] || static=$(uname -m)-unknown-linux-musl
check_rust
for part; do "check_$part"; done
exit $missing
