#!/usr/bin/env bash
# What promtool says of the alerts and of the metrics of a real operator, and who may read those:
#
#   test/monitoring.sh rules                           # deploy/chart/files/alerts.yaml and its tests
#   test/cluster/run.sh -- test/monitoring.sh metrics  # /metrics, plain and by TLS
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { echo "monitoring: $*" >&2; exit 1; }

rules() {
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	cp deploy/monitoring/alerts_test.yaml deploy/chart/files/alerts.yaml "$work"
	"$promtool" check rules "$work/alerts.yaml"
	(cd "$work" && "$promtool" test rules alerts_test.yaml)
}

# restart ARGUMENT...: the operator, until it is ready.
restart() {
	if [ -n "${OPERATOR_PID:-}" ]; then kill "$OPERATOR_PID" && wait "$OPERATOR_PID" || true; fi
	OPERATOR_HEALTH_PORT=$port operator_start "$@"
	for _ in $(seq 600); do
		if curl -fso /dev/null "http://127.0.0.1:$port/readyz"; then return; fi
		kill -0 "$OPERATOR_PID" || break
		sleep 0.1
	done
	tail -n 20 "$OPERATOR_LOG" >&2
	fail 'the operator is not ready'
}

# code URL [TOKEN]: the answer's status. The body goes into a file.
code() { curl -ks --max-time 20 -o "$CLUSTER_WORKDIR/body" -w '%{http_code}' ${2:+-H "Authorization: Bearer $2"} "$1"; }
# expect WANTED WHAT URL [TOKEN]
expect() {
	local got
	got=$(code "$3" "${4:-}") || true
	[ "$got" = "$1" ] || { tail -n 5 "$OPERATOR_LOG" >&2; fail "$2: the answer is $got and not $1: $(head -c 300 "$CLUSTER_WORKDIR/body")"; }
	echo "$1: $2"
}

issue() {
	kubectl create namespace team-a >/dev/null
	kubectl apply -f deploy/samples/wasmclusterissuer/issuer.yaml >/dev/null
	kubectl wait --for=condition=Ready --timeout=60s wasmclusterissuer/in-memory >/dev/null
	sed 's/kind: WasmIssuer, name: my-ca/kind: WasmClusterIssuer, name: in-memory/' \
		deploy/samples/wasmissuer/certificaterequest.yaml | kubectl apply -f - >/dev/null
	kubectl patch certificaterequest hand-made -n team-a --subresource=status --type=merge -p \
		'{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Test","message":"approved"}]}}' >/dev/null
	kubectl wait --for=condition=Ready --timeout=60s certificaterequest/hand-made -n team-a >/dev/null
}

metrics() {
	local port=$((20000 + RANDOM % 10000)) secure visitor prometheus
	secure=$((port + 1))
	source test/operator.sh
	operator_install
	trap 'kill "${OPERATOR_PID:-}" 2>/dev/null || true' EXIT
	restart
	say 'metrics of an operator that has issued a certificate: promtool check metrics'
	issue
	expect 200 'plain, on the probe port' "http://127.0.0.1:$port/metrics"
	"$promtool" check metrics <"$CLUSTER_WORKDIR/body"
	for series in 'issuer_signs_total{.*issuer_name="in-memory",outcome="issued"} 1' 'issuer_ready{.*issuer_name="in-memory"} 1' \
		'issuer_ca_expiry_timestamp_seconds{.*issuer_name="in-memory"} ' 'issuer_last_success_timestamp_seconds{.*"in-memory"} '; do
		grep -q "^wasm_issuer_$series" "$CLUSTER_WORKDIR/body" || fail "there is no $series"
	done

	say 'metrics by TLS, for whoever may read them'
	kubectl create serviceaccount visitor -n team-a >/dev/null
	kubectl create serviceaccount prometheus -n team-a >/dev/null
	visitor=$(kubectl create token visitor -n team-a) prometheus=$(kubectl create token prometheus -n team-a)
	restart --secure-metrics-address "127.0.0.1:$secure"
	expect 404 'not on the probe port any more' "http://127.0.0.1:$port/metrics"
	expect 401 'without a token' "https://127.0.0.1:$secure/metrics"
	expect 503 'where the operator may not ask whose token it is' "https://127.0.0.1:$secure/metrics" "$prometheus"
	kubectl apply -f deploy/monitoring/secure-metrics.yaml >/dev/null
	kubectl create clusterrolebinding prometheus-wasm-issuer --clusterrole=wasm-issuer-metrics-reader \
		--serviceaccount=team-a:prometheus >/dev/null
	sleep 2 # the API server's authorizer learns of it
	expect 200 'a ServiceAccount that may' "https://127.0.0.1:$secure/metrics" "$prometheus"
	"$promtool" check metrics <"$CLUSTER_WORKDIR/body"
	expect 403 'a ServiceAccount that may not' "https://127.0.0.1:$secure/metrics" "$visitor"
	expect 401 'a token of nobody' "https://127.0.0.1:$secure/metrics" stolen
	expect 404 'another path' "https://127.0.0.1:$secure/healthz" "$prometheus"

	say 'another log level, without a restart'
	restart --log-level-file "$CLUSTER_WORKDIR/level"
	! grep -q 'DEBUG' "$OPERATOR_LOG" || fail 'debug records are logged from the start'
	echo 'info,wasm_issuer=debug,kube=debug' >"$CLUSTER_WORKDIR/level"
	for _ in $(seq 300); do if grep -q DEBUG "$OPERATOR_LOG"; then break; fi; sleep 0.1; done
	grep -q DEBUG "$OPERATOR_LOG" || fail 'no debug records are logged'
	echo 'debug records are logged'
}

if ! promtool=$(test/promtool.sh); then
	printf '\n!!! test monitoring is skipped: promtool cannot be had (see above)\n\n' >&2
	exit 0
fi
case "${1:-}" in
rules) rules ;;
metrics) metrics ;;
*) fail 'usage: test/monitoring.sh rules|metrics' ;;
esac
