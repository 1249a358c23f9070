#!/usr/bin/env bash
# Installs as README.md says into the cluster of the current context, which has cert-manager and the image, and issues.
#
#   .github/scripts/e2e.sh kubectl | helm   # the word that README's commands begin with
set -euo pipefail
cd "$(dirname "$0")/../.."

way=${1:?usage: .github/scripts/e2e.sh kubectl|helm}
section='Install it into a cluster'
say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

told() {
	echo '--- what is there'
	kubectl get pods,wasmissuers,wasmclusterissuers,certificates,certificaterequests -A -o wide || true
	kubectl describe pods -n wasm-issuer || true
	kubectl logs -n wasm-issuer -l app.kubernetes.io/name=wasm-issuer --tail=50 --prefix || true
	kubectl get events -A --sort-by=.lastTimestamp | tail -n 30 || true
}
trap '[ $? = 0 ] || told' EXIT

say "What README.md says under \"$section\", with $way"
# A chart that is published by the release is taken from the repository.
commands=$(.github/scripts/readme.sh "$section" "$way" | sed -E 's,oci://[^ ]*/wasm-issuer( --version [^ ]+)?,deploy/chart,')
[ -n "$commands" ] || { echo "README.md has no command that begins with $way there" >&2; exit 1; }
while read -r command; do
	printf '$ %s\n' "$command"
	bash -euo pipefail -c "$command" </dev/null
done <<<"$commands"
run kubectl rollout status deployment -n wasm-issuer --timeout=180s

say 'A plugin from a ConfigMap, a builtin one, and a certificate of each'
run kubectl create namespace team-a --dry-run=client -o yaml | kubectl apply -f -
kubectl create configmap in-memory-ca -n team-a --dry-run=client -o yaml --from-file=plugin.wasm="${PLUGIN:?the path of in_memory_ca.wasm}" |
	run kubectl apply --server-side -f -
for kind in wasmissuer wasmclusterissuer; do run kubectl apply -f "deploy/samples/$kind/issuer.yaml"; done
run kubectl wait --for=condition=Ready --timeout=120s wasmissuer/my-ca -n team-a
run kubectl wait --for=condition=Ready --timeout=120s wasmclusterissuer/in-memory
for kind in wasmissuer wasmclusterissuer; do run kubectl apply -f "deploy/samples/$kind/certificate.yaml"; done
run kubectl wait --for=condition=Ready --timeout=120s certificate --all -A
kubectl get wasmissuers,wasmclusterissuers,certificates -A

say 'The operator that works is deleted; another takes over and issues'
holder=$(kubectl get lease -n wasm-issuer -o jsonpath='{.items[0].spec.holderIdentity}')
run kubectl delete pod -n wasm-issuer "${holder%%_*}" --wait
for certificate in $(kubectl get certificates -n team-a -o name); do
	secret=$(kubectl get "$certificate" -n team-a -o jsonpath='{.spec.secretName}')
	before=$(kubectl get secret "$secret" -n team-a -o jsonpath='{.data.tls\.crt}')
	run kubectl delete secret "$secret" -n team-a # cert-manager asks for a new one
	for _ in $(seq 60); do
		after=$(kubectl get secret "$secret" -n team-a --ignore-not-found -o jsonpath='{.data.tls\.crt}')
		[ -z "$after" ] || [ "$after" = "$before" ] || break
		sleep 2
	done
	[ -n "$after" ] && [ "$after" != "$before" ] || { echo "$certificate was not issued again" >&2; exit 1; }
done
