#!/usr/bin/env bash
# Runs a command beside real CFSSL servers of its own, and stops them when the command ends:
#
#   test/cfssl/run.sh [--] COMMAND ARGS...
#
# README.md beside this file says what the command finds there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ "${1:-}" != -- ] || shift
if [ $# -eq 0 ]; then
	echo "usage: $0 [--] COMMAND ARGS..." >&2
	exit 2
fi

CFSSL_BIN=$("$here/build.sh")
CFSSL_DIR=$(mktemp -d)
export CFSSL_BIN CFSSL_DIR
cleanup() {
	"$here/control.sh" stop || true
	rm -rf "$CFSSL_DIR"
}
trap cleanup EXIT
# The trap runs when the command has ended, which the terminal interrupts as well.
trap : INT TERM

"$here/control.sh" prepare
"$here/control.sh" start
CFSSL_URL=https://127.0.0.1:$(<"$CFSSL_DIR/multirootca.port")
CFSSL_SERVE_URL=https://127.0.0.1:$(<"$CFSSL_DIR/serve.port")
export CFSSL_URL CFSSL_SERVE_URL
export CFSSL_CA=$CFSSL_DIR/ca-bundle.pem CFSSL_ROOT=$CFSSL_DIR/root.pem CFSSL_AUTH_KEY_FILE=$CFSSL_DIR/auth-key
CFSSL_AUTH_KEY=$(<"$CFSSL_AUTH_KEY_FILE")
export CFSSL_AUTH_KEY
env | grep ^CFSSL_ | sort >&2

code=0
"$@" || code=$?
exit $code
