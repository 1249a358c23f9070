#!/usr/bin/env bash
# Makes sure that step-ca exists, and a program that makes keys of its provisioners, and builds what is missing from the Go
# modules at the versions in server/go.mod (about 5 minutes on 2 cores, once).
# stdout: the folder that holds them. stderr: everything else. Exits with 3, and says why, where they cannot be had.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=step-ca
source "$here/../../go.sh"
hash=$(cd "$here" && { uname -sm && go version && cat build.sh server/go.* server/provisioner/*.go; } | sha256sum | cut -c1-12)
folder=$cache/step-ca-$hash
packages=(github.com/smallstep/certificates/cmd/step-ca ./provisioner)

if [ "${1:-}" = built ]; then # builds nothing, and tells by its exit code
	[ -d "$folder" ]
	exit
fi
[ -d "$folder" ] || lock
if [ ! -d "$folder" ]; then
	work=$folder.tmp.$$
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"
	must_be_served "$here/server" "${packages[@]}"
	go_build "$here/server" step-ca "5 minutes on 2 cores" -mod=readonly -ldflags "-s -w" -o "$work/" "${packages[@]}" ||
		die "building step-ca failed (see above)"
	# Written aside, then renamed, so that it is either absent or whole.
	mv "$work" "$folder"
fi
echo "$folder"
