#!/usr/bin/env bash
# Makes sure that the commands of a Go module in this folder exist, at the versions in its go.mod:
#
#   test/go-tool.sh helm         # helm (3) and helm-docs
#   test/go-tool.sh helm4        # helm (4)
#   test/go-tool.sh kube-score
#   test/go-tool.sh actionlint
#   test/go-tool.sh cosign
#
# stdout: the folder that holds them. stderr: everything else. Fails, and says so, if the Go module proxy does not serve all of them.
# helm's go.mod has the versions of the test cluster's modules, so that Go compiles once what both have in common.
set -euo pipefail

topic=${1:?usage: test/go-tool.sh helm|helm4|kube-score|actionlint|cosign}
source "$(dirname "${BASH_SOURCE[0]}")/go.sh"

# Without these helm 3 takes the cluster of `helm template` for a v1.20, and says no version of its own.
version=$(sed -n 's/^[[:space:]]*helm\.sh\/helm\/v3 \(v[0-9.]*\).*/\1/p' "$tests/$topic/go.mod")
minor=$(sed -n 's/^[[:space:]]*k8s\.io\/client-go v0\.\([0-9]*\).*/\1/p' "$tests/$topic/go.mod")
usually='1 minute on 2 cores, 4 without what the test cluster has built' flags='-s -w'
case $topic in
helm)
	flags+=" -X helm.sh/helm/v3/internal/version.version=$version"
	for package in chartutil lint/rules; do flags+=" -X helm.sh/helm/v3/pkg/$package.k8sVersionMinor=$minor"; done
	;;
helm4) usually='4 minutes on 2 cores' ;;
kube-score) usually='1 minute on 2 cores' ;;
actionlint) usually='half a minute on 2 cores' ;;
cosign) usually='10 minutes on 2 cores' ;;
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
