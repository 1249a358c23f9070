#!/usr/bin/env bash
# Runs a command against a real Kubernetes API of its own, and stops everything when the command ends:
#
#   test/cluster/run.sh [--cert-manager] [--restart] [--] COMMAND ARGS...
#
# README.md beside this file says what the command finds there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
crds=${CERT_MANAGER_CRDS:-}
controller=
build=()
if [ "${1:-}" = --cert-manager ]; then
	shift
	controller=${CERT_MANAGER_CONTROLLER:-}
	if [ -z "$controller" ]; then
		build=(--cert-manager)
	elif [ -z "$crds" ]; then
		echo "cluster: CERT_MANAGER_CONTROLLER needs CERT_MANAGER_CRDS, a file or folder with its CustomResourceDefinitions" >&2
		exit 2
	fi
fi

built=$("$here/build.sh" "${build[@]}")
mapfile -t lines <<<"$built"
if [ -n "${build[*]}" ] && [ -n "${lines[1]}" ]; then
	controller=${lines[1]}/controller
	crds=${crds:-${lines[1]}/crds}
fi
# Everything from here on is on loopback, which no proxy of the user serves.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
# exec: signals reach the launcher itself, and its exit code is ours.
exec "${lines[0]}" --bin "${lines[-1]}" --crds "${crds:-$here/crds}" ${controller:+--cert-manager "$controller"} "$@"
