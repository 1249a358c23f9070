#!/usr/bin/env bash
# Runs the fuzz targets in fuzz/, one after the other, from the seeds and from what earlier runs found (fuzz/corpus, which
# is not in the repository). What makes one fail is in fuzz/artifacts: it becomes a test.
#
#   test/fuzz.sh [--if-possible] [TARGET...]   # MINUTES for each (default 1); --if-possible: nothing where tools are missing
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "fuzz: $*" >&2; }
lenient=0
if [ "${1:-}" = --if-possible ]; then lenient=1; shift; fi
lacks() {
	say "$1"
	exit $((lenient ? 0 : 1))
}
cargo +nightly --version >/dev/null 2>&1 || lacks "needs the nightly compiler: rustup toolchain install nightly"
command -v cargo-fuzz >/dev/null || lacks "needs cargo-fuzz: cargo install cargo-fuzz"

# A folder of its own: instrumented builds of everything.
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
export CARGO_TARGET_DIR
testdata=host/core/src/x509/testdata
seeds() {
	case $1 in
	csr | pem) echo "$testdata $testdata/cases" ;;
	*) echo "fuzz/seeds/$1" ;;
	esac
}
[ $# -gt 0 ] || set -- csr certificate pem ca_secret answer
for target in "$@"; do
	say "$target for ${MINUTES:-1} min"
	mkdir -p "fuzz/corpus/$target"
	# shellcheck disable=SC2046 # a list of folders
	cargo +nightly fuzz run "$target" "fuzz/corpus/$target" $(seeds "$target") -- \
		-max_total_time=$((${MINUTES:-1} * 60)) -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
