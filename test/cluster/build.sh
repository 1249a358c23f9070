#!/usr/bin/env bash
# Makes sure that etcd, kube-apiserver, kubectl and the launcher exist, and builds what is missing. With --cert-manager
# also cert-manager's controllers.
# stdout: the launcher's path, then with --cert-manager the folder that holds its controller and crds/ (or an empty line
# if the module cannot be had), then, as the last line, the folder that holds the other three. stderr: everything else.
#
#   KUBEBUILDER_ASSETS  a folder that has etcd, kube-apiserver and kubectl: used as it is, nothing but the launcher is built
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
topic=cluster
source "$here/../go.sh"
# Change this when the way of building below changes, so that older binaries are not taken for the new ones.
recipe=1

# short_hash MODULE...: of what the modules in this folder are built from, and of the platform.
short_hash() {
	(
		cd "$here"
		uname -sm
		echo "recipe $recipe"
		for module in "$@"; do sha256sum "$module"/go.* "$module"/*.go; done
	) | sha256sum | cut -c1-12
}

# build DIR PACKAGE OUTPUT USUALLY [GO BUILD FLAGS...]: unless OUTPUT exists. Written aside, then renamed, so that
# OUTPUT is either absent or whole.
build() {
	local output=$3 name=${3##*/}
	[ ! -x "$output" ] || return 0
	mkdir -p "${output%/*}"
	go_build "$here/$1" "$name" "$4" -mod=readonly "${@:5}" -o "$output.tmp.$$" "$2" || {
		rm -f "$output.tmp.$$"
		die "building $name failed (see above). Should the Go module proxy refuse a module: KUBEBUILDER_ASSETS may name a folder with etcd, kube-apiserver and kubectl of your own"
	}
	mv "$output.tmp.$$" "$output"
}

# What the proxy serves changes from day to day, so these are tried in turn; the first is the one of go.mod and go.sum.
cert_manager_module=github.com/cert-manager/cert-manager
cert_manager_versions=(v1.21.2 v1.21.1 v1.21.0 v1.20.3 v1.20.2 v1.20.1 v1.20.0 v1.19.2)

# build_cert_manager: into $cert_manager, or $cert_manager/refused. Done in a copy of the module and with -mod=mod: what a
# version asks for beyond go.mod and go.sum Go adds to the copy, verified against the checksum database.
build_cert_manager() {
	local work=$cert_manager.tmp.$$ version output
	rm -rf "$cert_manager"
	trap 'rm -rf "$cert_manager.tmp.$$"' EXIT
	for version in "${cert_manager_versions[@]}"; do
		rm -rf "$work"
		mkdir -p "$work/out/crds"
		cp "$here"/certmanager/* "$work"
		say "downloading cert-manager $version"
		# With all that it needs: what is refused of it must show before anything is built.
		if ! output=$(cd "$work" && go mod edit -require="$cert_manager_module@$version" 2>&1 9>&- &&
			go list -mod=mod -deps . 2>&1 >/dev/null 9>&-); then
			is_refused "$output" || die "downloading cert-manager failed: $output"
			say "the Go module proxy does not serve all of cert-manager $version"
			continue
		fi
		# A build that fails is no reason for another version, and none to go on without.
		go_build "$work" cert-manager "4 minutes on 2 cores" -mod=mod -o out/controller \
			-ldflags "-s -w -X $cert_manager_module/pkg/util.AppVersion=$version" . ||
			die "building cert-manager $version failed (see above)"
		output=$(cd "$work" && go list -mod=mod -m -f '{{.Dir}}' "$cert_manager_module" 9>&-)
		install -m 644 "$output"/deploy/crds/*.yaml "$work/out/crds"
		mv "$work/out" "$cert_manager"
		return
	done
	# Remembered for an hour, so that not every run asks again.
	mkdir -p "$cert_manager"
	touch "$cert_manager/refused"
}

with_cert_manager=
[ "${1:-}" != --cert-manager ] || with_cert_manager=1
launcher=$cache/launcher-$(short_hash launcher)/launcher
bin=$cache/cluster-$(short_hash kubernetes etcd)/bin
cert_manager=$cache/cert-manager-$(short_hash certmanager)
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	[ -d "$KUBEBUILDER_ASSETS" ] || die "KUBEBUILDER_ASSETS is no folder: $KUBEBUILDER_ASSETS"
	bin=$(cd "$KUBEBUILDER_ASSETS" && pwd)
	for tool in etcd kube-apiserver kubectl; do
		[ -x "$bin/$tool" ] || die "KUBEBUILDER_ASSETS has no $tool: $bin"
	done
fi

complete() { [ -x "$launcher" ] && [ -x "$bin/etcd" ] && [ -x "$bin/kube-apiserver" ] && [ -x "$bin/kubectl" ]; }

# Built, or refused less than an hour ago.
cert_manager_settled() {
	[ -z "$with_cert_manager" ] || [ -x "$cert_manager/controller" ] ||
		[ -n "$(find "$cert_manager/refused" -mmin -60 2>/dev/null)" ]
}

if ! complete || ! cert_manager_settled; then
	lock
	build launcher . "$launcher" "a few seconds"
	if [ -z "${KUBEBUILDER_ASSETS:-}" ]; then
		# Without these the API server calls itself v0.0.0-master, which clients refuse.
		version=$(sed -n 's/^[[:space:]]*k8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$here/kubernetes/go.mod")
		[[ $version =~ ^v([0-9]+)\.([0-9]+)\. ]] || die "no version of k8s.io/kubernetes in kubernetes/go.mod"
		ldflags="-s -w"
		for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
			ldflags+=" -X $package.gitVersion=$version -X $package.gitTreeState=clean"
			ldflags+=" -X $package.gitMajor=${BASH_REMATCH[1]} -X $package.gitMinor=${BASH_REMATCH[2]}"
		done
		build etcd . "$bin/etcd" "1 minute on 2 cores" -ldflags "-s -w"
		build kubernetes k8s.io/kubernetes/cmd/kube-apiserver "$bin/kube-apiserver" "8 minutes on 2 cores" -ldflags "$ldflags"
		build kubernetes k8s.io/kubernetes/cmd/kubectl "$bin/kubectl" "1 minute on 2 cores" -ldflags "$ldflags"
	fi
	cert_manager_settled || build_cert_manager
	exec 9>&-
fi

echo "$launcher"
if [ -n "$with_cert_manager" ]; then
	if [ -x "$cert_manager/controller" ]; then
		echo "$cert_manager"
	else
		say "no version of cert-manager is to be had (${cert_manager_versions[*]}): going on without its controllers"
		echo
	fi
fi
echo "$bin"
