#!/usr/bin/env bash
# Installs what deploy/ has for the operator (no kubelet starts its pods in a test cluster), and starts the operator outside the
# cluster as that ServiceAccount. Run it under test/cluster/run.sh. Sourced; sets OPERATOR_PID and OPERATOR_LOG.
#
#   source test/operator.sh
#   operator_install
#   operator_start [ARGUMENT...]

: "${WASM_ISSUER_TEST_CLUSTER:?run this under test/cluster/run.sh}"
OPERATOR_LOG=$CLUSTER_WORKDIR/operator.log

operator_install() {
  kubectl apply --server-side -f deploy/crds.yaml -f deploy/install.yaml >/dev/null
  # Its pods, which no kubelet starts here, would be missed.
  kubectl delete deployment wasm-issuer -n wasm-issuer >/dev/null
  kubectl wait --for=condition=Established --timeout=60s \
    crd/wasmissuers.wasm-issuer.dev crd/wasmclusterissuers.wasm-issuer.dev >/dev/null
  test/cluster/kubeconfig-for.sh wasm-issuer wasm-issuer "$CLUSTER_WORKDIR/operator.kubeconfig"
}

operator_start() {
  KUBECONFIG=$CLUSTER_WORKDIR/operator.kubeconfig "${WASM_ISSUER_BINARY:-target/debug/wasm-issuer}" run \
    --cluster-resource-namespace wasm-issuer \
    --builtin-dir "${WASM_ISSUER_PLUGINS:-target/wasm32-wasip2/plugin}" \
    --health-address "127.0.0.1:${OPERATOR_HEALTH_PORT:-0}" \
    "$@" >>"$OPERATOR_LOG" 2>&1 &
  OPERATOR_PID=$!
}
