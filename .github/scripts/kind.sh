#!/usr/bin/env bash
# A cluster of kind with the cert-manager that tests use, and with this image.
#
#   .github/scripts/kind.sh ARCHIVE   # of the image, as `buildah push IMAGE docker-archive:ARCHIVE:IMAGE` writes it
set -euo pipefail
cd "$(dirname "$0")/../.."

archive=${1:?usage: .github/scripts/kind.sh ARCHIVE}
version=$(sed -n 's/.*cert-manager\/cert-manager \(v[0-9.]*\)$/\1/p' test/cluster/certmanager/go.mod)
kind create cluster --wait 120s
kind load image-archive "$archive"
kubectl apply -f "https://github.com/cert-manager/cert-manager/releases/download/$version/cert-manager.yaml"
kubectl wait --for=condition=Available --timeout=180s -n cert-manager deployment --all
