#!/usr/bin/env bash
# Makes sure that etcd, kube-apiserver, kubectl and the launcher exist, and builds what is missing. With --cert-manager
# also cert-manager's controllers.
# stdout: the launcher's path, then with --cert-manager the folder that holds its controller and crds/ (or an empty line
# if the module cannot be had), then, as the last line, the folder that holds the other three. stderr: everything else.
#
#   WASM_ISSUER_CACHE   where builds are kept (default: ${XDG_CACHE_HOME:-~/.cache}/wasm-issuer)
#   KUBEBUILDER_ASSETS  a folder that has etcd, kube-apiserver and kubectl: used as it is, nothing but the launcher is built
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${WASM_ISSUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasm-issuer}
# Change this when the way of building below changes, so that older binaries are not taken for the new ones.
recipe=1

say() { echo "cluster: $*" >&2; }
die() { say "$*"; exit 1; }

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
	local dir=$1 package=$2 output=$3 usually=$4 start=$SECONDS
	shift 4
	[ ! -x "$output" ] || return 0
	command -v go >/dev/null || die "Go is needed to build $(basename "$output"): https://go.dev/doc/install"
	mkdir -p "$(dirname "$output")"
	say "building $(basename "$output") (once; usually $usually)"
	# 9>&-: nothing that go leaves behind may keep the lock. -buildvcs: the commit that is checked out must not matter.
	(cd "$here/$dir" && GOWORK=off CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath "$@" \
		-o "$output.tmp.$$" "$package") >&2 9>&- ||
		{ rm -f "$output.tmp.$$"; die "building $(basename "$output") failed (see above)"; }
	mv "$output.tmp.$$" "$output"
	say "built $(basename "$output") in $((SECONDS - start)) s"
}

# The module's version, and what is said when it is not to be had.
cert_manager_module=github.com/cert-manager/cert-manager
cert_manager_version=$(awk -v m="$cert_manager_module" '$1 == m { print $2 }' "$here/certmanager/go.mod")
cert_manager_refused="the Go module proxy does not serve cert-manager $cert_manager_version: going on without its controllers"

# build_cert_manager: into $cert_manager. Done in a copy of the module and with -mod=mod: should the version there ask for
# more than go.mod and go.sum name, Go adds it to the copy, verified against the checksum database.
build_cert_manager() {
	local work=$cert_manager.tmp.$$ start=$SECONDS output
	command -v go >/dev/null || die "Go is needed to build cert-manager's controllers: https://go.dev/doc/install"
	rm -rf "$work" "$cert_manager"
	mkdir -p "$work/out/crds"
	trap 'rm -rf "$cert_manager.tmp.$$"' EXIT
	cp "$here"/certmanager/* "$work"
	export GOWORK=off CGO_ENABLED=0

	say "downloading cert-manager $cert_manager_version"
	if ! output=$(cd "$work" && go mod download "$cert_manager_module@$cert_manager_version" 2>&1 9>&-); then
		grep -Eq ': (403 Forbidden|404 Not Found|410 Gone)$|GOPROXY=off' <<<"$output" ||
			die "downloading cert-manager failed: $output"
		# Remembered for a day, so that not every run asks again.
		mkdir -p "$cert_manager"
		touch "$cert_manager/refused"
		return
	fi
	say "building cert-manager's controllers (once; usually 4 minutes on 2 cores)"
	(
		cd "$work" &&
			go build -mod=mod -buildvcs=false -trimpath -o out/controller \
				-ldflags "-s -w -X $cert_manager_module/pkg/util.AppVersion=$cert_manager_version" . &&
			module=$(go list -mod=mod -m -f '{{.Dir}}' "$cert_manager_module") &&
			install -m 644 "$module"/deploy/crds/*.yaml out/crds
	) >&2 9>&- || die "building cert-manager's controllers failed (see above)"
	mv "$work/out" "$cert_manager"
	say "built cert-manager's controllers in $((SECONDS - start)) s"
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

# Built, or refused less than a day ago.
cert_manager_settled() {
	[ -z "$with_cert_manager" ] || [ -x "$cert_manager/controller" ] ||
		[ -n "$(find "$cert_manager/refused" -mtime -1 2>/dev/null)" ]
}

if ! complete || ! cert_manager_settled; then
	# One build at a time: two would compile the same packages twice, and side by side they need twice the memory.
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock -n 9 || { say "waiting for another build to finish"; flock 9; }

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
		say "$cert_manager_refused"
		echo
	fi
fi
echo "$bin"
