#!/usr/bin/env bash
# Builds http-ca, once, and starts it in the background:
#
#   test/http-ca/start.sh ADDRESS:PORT FOLDER
#
# Returns when it listens. In FOLDER are then ca.crt, secret/token, http-ca.pid and http-ca.log. To stop it: kill "$(cat FOLDER/http-ca.pid)".
set -euo pipefail

address=${1:?usage: start.sh ADDRESS:PORT FOLDER} folder=${2:?usage: start.sh ADDRESS:PORT FOLDER}
program=$("$(dirname "${BASH_SOURCE[0]}")/build.sh")/http-ca
mkdir -p "$folder"
"$program" -listen "$address" -folder "$folder" >"$folder/http-ca.log" 2>&1 </dev/null &
pid=$!
until grep -q 'listening at' "$folder/http-ca.log"; do
	kill -0 "$pid" 2>/dev/null || { cat "$folder/http-ca.log" >&2; exit 1; }
	sleep 0.1
done
echo "$pid" >"$folder/http-ca.pid"
cat "$folder/http-ca.log"
