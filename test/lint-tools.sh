#!/usr/bin/env bash
# Licences, sources and versions of dependencies (cargo-deny, deny.toml), spelling (typos, typos.toml) and GitHub's workflows
# (actionlint):
#
#   test/lint-tools.sh         # runs them where they are built, else says how to build them; actionlint is built, where Go can
#   test/lint-tools.sh build   # builds them, once, beside the builds of the test cluster and not into the user's cargo home
set -euo pipefail
cd "$(dirname "$0")/.."

tools=(cargo-deny@0.20.2 typos-cli@1.52.0)
cache=${WASM_ISSUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wasm-issuer}
root=$cache/tools-$(IFS=-; echo "${tools[*]}")
built() { [ -x "$root/bin/cargo-deny" ] && [ -x "$root/bin/typos" ]; }

if [ "${1:-}" = build ]; then
	built || CARGO_TARGET_DIR=$root/target test/together.sh tools '5 minutes on 2 cores' \
		"$(printf '%q ' cargo install --locked --root "$root" "${tools[@]}") && rm -rf $(printf '%q' "$root/target")"
	exit
fi

# A tag can be moved to another commit.
if grep -nE '^[^#]*uses: [^./]' .github/workflows/*.yaml | grep -vE '@[0-9a-f]{40} # v[0-9.]+$' >&2; then
	echo "lint: GitHub's actions are named by the whole hash of a commit, with the version as a comment" >&2
	exit 1
fi
if built; then
	"$root/bin/cargo-deny" --locked check --hide-inclusion-graph bans licenses sources
	"$root/bin/typos"
else
	echo 'lint: cargo-deny and typos are left out, since they are not built: `make lint-tools` builds them' >&2
fi
if actionlint=$(test/go-tool.sh actionlint); then
	"$actionlint/actionlint"
else
	printf '\n!!! lint: .github/workflows are left out: actionlint cannot be had (see above)\n\n' >&2
fi
