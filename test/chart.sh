#!/usr/bin/env bash
# The chart, as helm and the API server see it:
#
#   test/chart.sh lint [3|4]                             # helm lint, what is refused, and what kube-score says
#   test/cluster/run.sh -- test/chart.sh cluster [3|4]   # dry runs, installed, upgraded, uninstalled, with an operator that issues
#
# 3 or 4: of Helm.
set -euo pipefail
cd "$(dirname "$0")/.."

chart=deploy/chart
say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
# In the words that test/summary.sh counts.
skip() { printf '\n!!! test chart is skipped: %s\n\n' "$*" >&2; }
passed=0
fail() { printf 'chart: %s\ntest result: FAILED. %s passed; 1 failed;\n' "$*" "$passed" >&2; exit 1; }
# step TITLE COMMAND
step() { say "$1"; $2; passed=$((passed + 1)); }
major=${2:-3}
helm=$(test/go-tool.sh "helm${major#3}")/helm
work=$(mktemp -d)
trap 'kill "${OPERATOR_PID:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
# Nothing of the user's own helm.
export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm

# render VALUES-FILE ARGUMENT...
render() { "$helm" template wasm-issuer "$chart" --namespace wasm-issuer --values "$@"; }

# refused TEXT ARGUMENT...: helm refuses these values, and says TEXT.
refused() {
	local said
	if said=$(render "$chart/ci/default-values.yaml" "${@:2}" 2>&1 >/dev/null); then fail "helm takes ${*:2}"; fi
	grep -qF -- "$1" <<<"$said" || fail "of ${*:2} helm says: $said"
	echo "refused: ${*:2}"
}

linted() {
	local values
	for values in "$chart"/ci/*.yaml; do
		"$helm" lint --strict --quiet "$chart" --values "$values" >"$work/said" 2>&1 || fail "$values: $(cat "$work/said")"
	done
	ls "$chart/ci" | paste -sd ' '
	# Each field that a policy has, with its default.
	awk 'BEGIN { print "policy:" } /^```/ { if (inside) exit; inside = 1; next } inside { print "  " $0 }' docs/policy.md >"$work/policy.yaml"
	grep -q maxMemory "$work/policy.yaml" && render "$work/policy.yaml" >/dev/null || fail 'the policy of docs/policy.md is not taken'
}

# refused TEXT ARGUMENT...: helm refuses these values, and says TEXT.
refused() {
	local said
	if said=$(render "$chart/ci/default-values.yaml" "${@:2}" 2>&1 >/dev/null); then fail "helm takes ${*:2}"; fi
	grep -qF -- "$1" <<<"$said" || fail "of ${*:2} helm says: $said"
	echo "refused: ${*:2}"
}

refusals() {
	refused 'leaderElection.enabled must be true' --set leaderElection.enabled=false
	refused 'exclude each other' --set policyConfigMap=mine,policy.wasmIssuers.reveal=true
	refused 'needs rights on the cluster' --set 'watchNamespaces={a},metrics.secure.enabled=true'
	refused 'would delete the namespace' --set namespace.create=true
	refused 'replica' --set replica=3
	refused 'maxInFlights' --set limits.maxInFlights=3
	refused 'digest' --set image.digest=sha256:123
	refused 'maxRetryDuration' --set retry.maxRetryDuration=1d
	refused 'shards' --set shards=65
	refused 'allowAddresses' --set 'policy.allowAddresses={10.0.0.0/8}'
	refused 'maxMemoy' --set policy.wasmIssuers.maxMemoy=1Mi
}

# Each default that values.yaml names of the operator is the operator's.
defaults() {
	local flag default found=0
	"${WASM_ISSUER_BINARY:-target/debug/wasm-issuer}" run --help >"$work/help"
	while read -r flag default; do
		grep -A 12 -E -- "^ +--$flag( |\$)" "$work/help" | grep -m 1 -oE '\[default: [^]]*\]' | grep -qxF "[default: $default]" ||
			fail "values.yaml says that --$flag is $default by default"
		found=$((found + 1))
	done < <(awk '/@default -- the operator/ { gsub(/[`,]/, ""); value = $NF }
		value && /^ *[a-zA-Z]+:$/ { key = $1; sub(/:/, "", key); if (key == "issuers") key = "metricsIssuers"
			gsub(/[A-Z]/, "-&", key); print tolower(key), value; value = "" }' "$chart/values.yaml")
	[ "$found" -ge 20 ] || fail "$found flags were found in values.yaml"
	echo "$found flags"
}

scored() {
	local score values
	if ! score=$(test/go-tool.sh kube-score); then skip 'kube-score cannot be had (see above)'; return; fi
	# Left out: a CPU limit would slow down what compiles plugins, and protect nobody; whether a tag is pulled again is the
	# administrator's choice.
	for values in network-policy secure-metrics; do
		render "$chart/ci/$values-values.yaml" | "$score/kube-score" score --output-format ci --exit-one-on-warning \
			--kubernetes-version v1.29 --ignore-container-cpu-limit --ignore-test container-image-pull-policy \
			--enable-optional-test container-seccomp-profile,container-ports-check - >"$work/said" 2>&1 ||
			fail "kube-score of $values: $(grep -v -e '^\[OK' -e '^\[SKIPPED' "$work/said")"
		echo "$values: $(grep -c '^\[OK' "$work/said") of what it looks at"
	done
}

lint() {
	step 'helm lint, with each of deploy/chart/ci' linted
	step 'what values.schema.json and the templates refuse' refusals
	step 'the defaults that values.yaml names, and those of wasm-issuer run --help' defaults
	step 'what kube-score says' scored
}

cluster() {
	: "${WASM_ISSUER_TEST_CLUSTER:?run this under test/cluster/run.sh}"
	source test/operator.sh
	source test/chart/steps.sh
	step 'server-side dry run, with each of deploy/chart/ci' dry_runs
	step 'by kubectl: from the manifests before the chart; its image changed, and applied again' by_kubectl
	step 'from there to helm install --take-ownership; the operator runs with its rights, and issues' take_over
	step 'helm upgrade: a policy that changes, without a new pod' policy_changes
	step 'helm upgrade from the chart before' from_previous
	step 'helm uninstall, and kubectl delete: the Issuers stay' uninstalled
}

case ${1:-} in
lint) lint ;;
cluster) cluster ;;
*) fail 'usage: test/chart.sh lint|cluster' ;;
esac
echo "test result: ok. $passed passed; 0 failed;"
