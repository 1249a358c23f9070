#!/usr/bin/env bash
# Makes sure that the commands of a Go module in this folder exist, at the versions in its go.mod:
#
#   test/go-tool.sh actionlint
#
# stdout: the folder that holds them. stderr: everything else. Fails, and says so, if the Go module proxy does not serve all of them.
set -euo pipefail

topic=${1:?usage: test/go-tool.sh actionlint}
source "$(dirname "${BASH_SOURCE[0]}")/go.sh"

flags='-s -w'
case $topic in
actionlint) usually='half a minute on 2 cores' ;;
*) die 'which? See the first lines of this file' ;;
esac

hash=$(cd "$tests/$topic" && { uname -sm && go version && cat go.*; } | sha256sum | cut -c1-12)
folder=$cache/$topic-$hash
[ -d "$folder" ] || lock
if [ ! -d "$folder" ]; then
	work=$folder.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/out"
	cp "$tests/$topic"/go.* "$work"
	if ! output=$(cd "$work" && go list -mod=readonly -deps tool 2>&1 >/dev/null 9>&-); then
		die "not from the Go module proxy: $(tail -n 1 <<<"$output")"
	fi
	go_build "$work" "$topic" "$usually" -mod=readonly -ldflags "$flags" -o out/ tool
	mv "$work/out" "$folder"
fi
echo "$folder"
