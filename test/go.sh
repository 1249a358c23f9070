# shellcheck shell=bash
# What the scripts that build Go modules share. Sourced, after `set -euo pipefail`; sets $cache.
#
#   WASM_ISSUER_CACHE   where builds are kept (default: ${XDG_CACHE_HOME:-~/.cache}/wasm-issuer)

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${WASM_ISSUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasm-issuer}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd) # go runs in other folders

say() { echo "$topic: $*" >&2; }
die() { say "$*"; exit 1; }

# What the user has set for modules of their own must not change these builds. -buildvcs: the commit that is checked out
# must not either.
unset GOOS GOARCH GO111MODULE GOEXPERIMENT
export GOWORK=off CGO_ENABLED=0 GOFLAGS=-buildvcs=false

# lock: one build at a time. Two would compile the same packages twice, and side by side they need twice the memory.
lock() {
	"$tests/setup.sh" go
	exec 9>"$cache/lock"
	flock -n 9 || { say "waiting for another build to finish"; flock 9; }
}

# go_build DIR NAME USUALLY ARGS...: `go build ARGS...` in DIR, with a line now and then while it says nothing.
# 9>&-: nothing that go leaves behind may keep the lock.
go_build() {
	local command start=$SECONDS
	printf -v command '%q ' cd "$1"
	printf -v command '%s && %s' "$command" "$(printf '%q ' go build -trimpath "${@:4}")"
	say "building $2 (once; usually $3)"
	"$tests/together.sh" "$2" "$3" "$command" 9>&- || return 1
	say "built $2 in $((SECONDS - start)) s"
}

# is_refused OUTPUT: whether go failed because the module proxy does not serve a module, and not for another reason.
is_refused() { grep -Eq ': (403 Forbidden|404 Not Found|410 Gone)$|unknown revision|GOPROXY=off' <<<"$1"; }

# must_be_served DIR PACKAGES...: ends the script with 3 where the module proxy does not serve what these are built from.
must_be_served() {
	local output
	if ! output=$(cd "$1" && go list -mod=readonly -deps "${@:2}" 2>&1 >/dev/null 9>&-); then
		is_refused "$output" || die "downloading failed: $output"
		say "not from the Go module proxy: $(tail -n 1 <<<"$output")"
		exit 3
	fi
}
