#!/usr/bin/env bash
# The main job, shown: `make demo` runs this on a real API server that lives for as long as the demo does.
set -euo pipefail
cd "$(dirname "$0")/.."
source "${WASM_ISSUER_OPERATOR:-test/operator.sh}"

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
run() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

stop() {
  status=$?
  kill "$OPERATOR_PID" 2>/dev/null && wait || true
  if [ "$status" != 0 ]; then
    printf '\nThe demo failed. The end of the log of the operator:\n' >&2
    tail -n 20 "$OPERATOR_LOG" >&2
  fi
}

# Approves a request, which cert-manager's approver does where it runs.
approve() {
  kubectl patch certificaterequest "$2" -n "$1" --subresource=status --type=merge -p \
    '{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Demo","message":"approved by the demo"}]}}'
}

say "The operator, as its own ServiceAccount with the rights in deploy/install/rbac.yaml"
operator_install
operator_start
trap stop EXIT

say "A plugin in a ConfigMap, a WasmIssuer that names it, and a WasmClusterIssuer with a builtin plugin"
run kubectl create namespace team-a
# Server-side, because a client-side apply keeps a second copy in an annotation, and that has less room than a plugin.
kubectl create configmap in-memory-ca -n team-a --dry-run=client -o yaml \
  --from-file=plugin.wasm="${WASM_ISSUER_PLUGINS:-target/wasm32-wasip2/plugin}/in_memory_ca.wasm" | run kubectl apply --server-side -f -
run kubectl apply -f deploy/samples/wasmissuer/issuer.yaml -f deploy/samples/wasmclusterissuer/issuer.yaml
run kubectl wait --for=condition=Ready --timeout=60s wasmissuer/my-ca -n team-a
run kubectl wait --for=condition=Ready --timeout=60s wasmclusterissuer/in-memory
run kubectl get wasmissuers,wasmclusterissuers -A -o wide

if [ "${WASM_ISSUER_CERT_MANAGER:-0}" = 1 ]; then
  say "A Certificate for each, through cert-manager's own controllers"
  run kubectl apply -f deploy/samples/wasmissuer/certificate.yaml -f deploy/samples/wasmclusterissuer/certificate.yaml
  run kubectl wait --for=condition=Ready --timeout=60s certificate/web -n team-a
  run kubectl wait --for=condition=Ready --timeout=60s certificate/sample
  request=$(kubectl get certificaterequests -n team-a -o jsonpath='{.items[0].metadata.name}')
  run kubectl get certificates,certificaterequests -A
else
  say "A CertificateRequest for each (cert-manager's controllers, which would make them from Certificates, are not here)"
  request=hand-made
  run kubectl apply -f deploy/samples/wasmissuer/certificaterequest.yaml
  sed -e 's/namespace: team-a/namespace: default/' -e 's/kind: WasmIssuer, name: my-ca/kind: WasmClusterIssuer, name: in-memory/' \
    deploy/samples/wasmissuer/certificaterequest.yaml | run kubectl apply -f -
  run approve team-a hand-made
  run approve default hand-made
  run kubectl wait --for=condition=Ready --timeout=60s certificaterequest/hand-made -n team-a
  run kubectl wait --for=condition=Ready --timeout=60s certificaterequest/hand-made
  run kubectl get certificaterequests -A
fi

say "What the operator wrote: conditions and Events of certificaterequest/$request"
kubectl get certificaterequest "$request" -n team-a \
  -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'
sleep 1 # Events are published behind the certificate
kubectl get events -A --field-selector reportingComponent=wasm-issuer.dev \
  -o custom-columns='TYPE:.type,REASON:.reason,OBJECT:.involvedObject.kind,NAME:.involvedObject.name,NOTE:.message'

say "The certificate"
kubectl get certificaterequest "$request" -n team-a -o jsonpath='{.status.certificate}' | base64 -d >"$CLUSTER_WORKDIR/tls.crt"
kubectl get certificaterequest "$request" -n team-a -o jsonpath='{.status.ca}' | base64 -d >"$CLUSTER_WORKDIR/ca.crt"
run "${WASM_ISSUER_BINARY:-target/debug/wasm-issuer}" plugin certificate "$CLUSTER_WORKDIR/tls.crt" --ca "$CLUSTER_WORKDIR/ca.crt"

say "Done: issued by a WebAssembly plugin that never held the CA's key. Everything is stopped and removed now."
