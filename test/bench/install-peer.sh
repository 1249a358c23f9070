#!/usr/bin/env bash
# Installs the peer's kinds, its rights and an issuer, and writes its kubeconfig. Run it under test/cluster/run.sh.
#
#   test/bench/install-peer.sh NAME-OF-THE-ISSUER KUBECONFIG-TO-WRITE
set -euo pipefail
cd "$(dirname "$0")/../.."

kubectl apply --server-side -f test/bench/peer/install.yaml >/dev/null
kubectl wait --for=condition=Established --timeout=60s crd/peerclusterissuers.bench.wasm-issuer.dev >/dev/null
kubectl apply --server-side -f - >/dev/null <<EOF
apiVersion: bench.wasm-issuer.dev/v1alpha1
kind: PeerClusterIssuer
metadata: {name: $1}
EOF
test/cluster/kubeconfig-for.sh peer peer "$2"
