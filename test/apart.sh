#!/usr/bin/env bash
# Runs a command on all processors but the last one, which OPERATOR_CPU tells it: what is started there has nothing of the
# API server's time, as on a node of a cluster. On all of them where there is only one, or no taskset.
#
#   test/apart.sh COMMAND [ARG...]
set -euo pipefail

last=$(($(nproc) - 1))
if [ "$last" -eq 0 ] || ! command -v taskset >/dev/null; then
	exec "$@"
fi
OPERATOR_CPU=$last exec taskset -c "0-$((last - 1))" "$@"
