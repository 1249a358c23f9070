#!/usr/bin/env bash
# Writes a kubeconfig that speaks to the cluster of $KUBECONFIG as a ServiceAccount, which must exist:
#
#   test/cluster/kubeconfig-for.sh NAMESPACE SERVICEACCOUNT OUTFILE
set -euo pipefail

if [ $# -ne 3 ]; then
	echo "usage: $0 NAMESPACE SERVICEACCOUNT OUTFILE" >&2
	exit 2
fi
namespace=$1 account=$2 outfile=$3

# Never by accident the cluster of the person who runs this.
: "${KUBECONFIG:?is not set: run this under test/cluster/run.sh}"

cluster() { kubectl config view --raw --minify -o "jsonpath={.clusters[0].cluster.$1}"; }
server=$(cluster server)
ca=$(cluster certificate-authority-data)
token=$(kubectl create token "$account" --namespace "$namespace" --duration 24h)

umask 077 # the file holds a token
temp=$(mktemp "$outfile.XXXXXX")
trap 'rm -f "$temp"' EXIT
cat >"$temp" <<EOF
apiVersion: v1
kind: Config
clusters:
  - name: cluster
    cluster:
      server: $server
      certificate-authority-data: $ca
users:
  - name: $namespace-$account
    user:
      token: $token
contexts:
  - name: $namespace-$account
    context:
      cluster: cluster
      namespace: $namespace
      user: $namespace-$account
current-context: $namespace-$account
EOF
mv "$temp" "$outfile"
