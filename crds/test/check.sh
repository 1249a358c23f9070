#!/usr/bin/env bash
# Shows the CRDs to a real API server: they install, and it reads each sort of rule as the unit tests of
# host/wasm-issuer/src/api/schema_tests.rs do, which hold the rest. Needs kubectl and a KUBECONFIG of a cluster to play with:
#
#   test/cluster/run.sh crds/test/check.sh
set -euo pipefail
cd "$(dirname "$0")/.."
: "${KUBECONFIG:?is not set: run this under test/cluster/run.sh}"

kubectl apply --server-side -f . >/dev/null
kubectl wait --for=condition=Established --timeout=30s crd/{wasmissuers,wasmclusterissuers}.wasm-issuer.dev >/dev/null
# Established comes a moment before the first object is taken.
until kubectl get wasmissuers,wasmclusterissuers >/dev/null 2>&1; do sleep 0.2; done

failed=0
fail() {
	echo "FAIL $1" >&2
	failed=1
}

# create SPEC: what the API server says to it, for both kinds, which share one schema.
create() {
	for kind in WasmIssuer WasmClusterIssuer; do
		printf '{apiVersion: wasm-issuer.dev/v1alpha1, kind: %s, metadata: {name: x}, spec: %s}\n---\n' "$kind" "$1"
	done | kubectl create --dry-run=server -f - 2>&1
}

accepted() {
	local said
	if said=$(create "$1"); then echo "ok   $1"; else fail "$1 is refused: $said"; fi
}

# refused SPEC MESSAGE
refused() {
	local said
	if said=$(create "$1"); then
		fail "$1 is accepted"
	elif [ "$(grep -cF -- "$2" <<<"$said")" != 2 ]; then
		fail "$1: expected twice \"$2\", got: $said"
	else
		echo "ok   $1: $2"
	fi
}

builtin="plugin: {builtin: a}"

accepted "{$builtin, config: {a: {b: [1, 2.5, {c: null}]}}, retry: {minBackoff: 1s, maxBackoff: 1h30m}, authSecretName: null}"
accepted "{$builtin, http: {allowedHosts: ['https://*.a.b:8443', 'http://[::1]:80']}, limits: {timeout: 500ms, memory: '67108864'}}"

refused "{$builtin, http: {allowedHosts: ['https://ca/path']}}" "without a path"
refused "{$builtin, checkInterval: soon}" \
	'spec.checkInterval: Invalid value: "soon": must be a duration such as 500ms, 90s or 1h30m, from 10s to 24h'
refused "{$builtin, limits: {memory: 2Gi}}" \
	'spec.limits.memory: Invalid value: "2Gi": must be an amount of memory such as 64Mi, from 1Mi to 1Gi'
refused "{$builtin, retry: {minBackoff: 10m, maxBackoff: 1m}}" "minBackoff must not be longer than maxBackoff"
refused "{plugin: {}}" "spec.plugin: Invalid value: exactly one of configMap, image and builtin must be set"
refused "{$builtin, authSecretName: ../../other/secrets/x}" "spec.authSecretName in body should match"
refused "{$builtin, secrets: {reveal: [a, a]}}" 'spec.secrets.reveal[1]: Duplicate value: "a"'
refused "{$builtin, verification: {mode: strict}}" 'supported values: "Reported", "Strict"'
refused "{$builtin, verification: {mode: Strict, allow: [Subject]}}" "mode Strict allows no difference: allow must be empty"
refused "{$builtin, configs: {}}" 'unknown field "spec.configs"'

# Defaults are written into the object.
got=$(kubectl create --dry-run=server -o jsonpath='{.spec}' -f - <<<"{
	apiVersion: wasm-issuer.dev/v1alpha1, kind: WasmIssuer, metadata: {name: x}, spec: {$builtin}}")
want='{"checkInterval":"1m","config":{},"limits":{"memory":"64Mi","timeout":"10s"},"plugin":{"builtin":"a"},"verification":{"mode":"Reported"}}'
[ "$got" = "$want" ] || fail "defaults: $got"

exit $failed
