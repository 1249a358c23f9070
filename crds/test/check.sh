#!/usr/bin/env bash
# Shows the CRDs to a real API server: they install, the valid specs are taken, and each bad one is refused with a message
# that tells what to write instead. Needs kubectl and a KUBECONFIG of a cluster to play with:
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

# create SPEC: what the API server says to it, for both kinds (which share one schema).
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

hex=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
one="spec.plugin: Invalid value: exactly one of configMap, image and builtin must be set"
interval="spec.checkInterval: Invalid value: %s: must be a duration such as 500ms, 90s or 1h30m, from 10s to 24h"
timeout="must be a duration such as 500ms, 90s or 1h30m, from 100ms to 1m"
memory="must be an amount of memory such as 64Mi, from 1Mi to 1Gi"
host="must be https://host, https://host:port, http://host or http://host:port, without a path"
builtin="plugin: {builtin: in-memory-ca}"

accepted "{$builtin}"
accepted "{plugin: {configMap: {name: cfssl-plugin}, sha256: '$hex'}}"
accepted "{plugin: {configMap: {name: cfssl-plugin, key: a_B.wasm}}}"
accepted "{plugin: {image: {reference: 'registry.example:5000/cfssl:1.2@sha256:$hex', pullSecretName: regcred}}}"
accepted "{plugin: {builtin: in-memory-ca, configMap: null, image: null}}"
accepted "{$builtin, config: {a: {b: [1, 2.5, {c: null}]}}}"
accepted "{$builtin, authSecretName: a.b-c, secrets: {reveal: [tls.crt, API_KEY]}}"
accepted "{$builtin, http: {allowedHosts: ['https://*.a.b:8443', 'http://[::1]:80', 'https://10.0.0.1', 'https://ca']}}"
accepted "{$builtin, http: {caBundleSecretName: root, clientCertSecretName: mtls}}"
accepted "{$builtin, checkInterval: 1m30s, limits: {timeout: 500ms, memory: '67108864'}, verification: Strict}"
accepted "{$builtin, retry: {maxDuration: 720h, minBackoff: 1s, maxBackoff: 1h30m}}"
accepted "{$builtin, limits: {}, retry: {}, http: {}, secrets: {}}"

refused "{}" "spec.plugin: Required value"
refused "{plugin: {}}" "$one"
refused "{plugin: {builtin: null}}" "$one"
refused "{plugin: {builtin: a, configMap: {name: b}}}" "$one"
refused "{plugin: {builtin: a, configMap: {name: b}, image: {reference: c}}}" "$one"
refused "{plugin: {configMap: {}}}" "spec.plugin.configMap.name: Required value"
refused "{plugin: {configMap: {name: b, key: ../x}}}" "spec.plugin.configMap.key in body should match"
refused "{plugin: {image: {reference: 'a b'}}}" "spec.plugin.image.reference in body should match"
refused "{plugin: {builtin: a, sha256: ${hex^^}}}" "should match '^[0-9a-f]{64}\$'"
refused "{plugin: {builtin: a, sha256: ${hex}0}}" "spec.plugin.sha256: Too long"
refused "{$builtin, configs: {}}" 'unknown field "spec.configs"'
refused "{$builtin, config: [1]}" "spec.config in body must be of type object"
refused "{$builtin, authSecretName: ../../other/secrets/x}" "spec.authSecretName in body should match"
refused "{$builtin, secrets: {reveal: [a, a]}}" 'spec.secrets.reveal[1]: Duplicate value: "a"'
refused "{$builtin, secrets: {reveal: [$(seq -s, 17)]}}" "spec.secrets.reveal: Too many"
for bad in ca.example.com https://ca.example.com/path ftp://ca https://CA https://* "https://user@ca" "https://ca "; do
	refused "{$builtin, http: {allowedHosts: ['$bad']}}" "$host"
done
# shellcheck disable=SC2059 # the messages above are formats
for bad in soon 5s 25h 1d -1m 1.5h; do
	refused "{$builtin, checkInterval: $bad}" "$(printf "$interval" "\"$bad\"")"
done
refused "{$builtin, checkInterval: 60}" "spec.checkInterval in body must be of type string"
refused "{$builtin, limits: {timeout: 2m}}" "spec.limits.timeout: Invalid value: \"2m\": $timeout"
refused "{$builtin, limits: {timeout: 50ms}}" "$timeout"
for bad in lots 64m 64MB 1.5Gi 512Ki 2Gi 999999999999Gi; do
	refused "{$builtin, limits: {memory: $bad}}" "spec.limits.memory: Invalid value: \"$bad\": $memory"
done
refused "{$builtin, limits: {memory: 67108864}}" "spec.limits.memory in body must be of type string"
refused "{$builtin, retry: {maxDuration: 0s}}" "from 1s to 8760h"
refused "{$builtin, retry: {minBackoff: 10m, maxBackoff: 1m}}" "minBackoff must not be longer than maxBackoff"
refused "{$builtin, verification: strict}" 'supported values: "Reported", "Strict"'

# Defaults are written into the object.
got=$(kubectl create --dry-run=server -o jsonpath='{.spec}' -f - <<<"{
	apiVersion: wasm-issuer.dev/v1alpha1, kind: WasmIssuer, metadata: {name: x}, spec: {$builtin}}")
want='{"checkInterval":"1m","config":{},"limits":{"memory":"64Mi","timeout":"10s"},"plugin":{"builtin":"in-memory-ca"},"verification":"Reported"}'
[ "$got" = "$want" ] || fail "defaults: $got"

exit $failed
