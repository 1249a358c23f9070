#!/usr/bin/env bash
# Packages a chart and pushes it with helm. stdout: its digest.
#
#   deploy/release/push-chart.sh VERSION CHART REPOSITORY   # deploy/chart, registry.example/charts
set -euo pipefail
cd "$(dirname "$0")/../.."

version=${1:?usage: deploy/release/push-chart.sh VERSION CHART REPOSITORY} chart=${2:?} repository=${3:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
helm package "$chart" --version "$version" --app-version "$version" --destination "$work" >&2
helm push "$work"/*.tgz "oci://$repository" ${PLAIN_HTTP:+--plain-http} 2>&1 | tee "$work/said" >&2
sed -n 's/^Digest: //p' "$work/said" | grep '^sha256:'
