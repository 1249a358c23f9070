# shellcheck shell=bash
# What test/chart.sh does on a cluster, step after step; each goes on from where the one before has left it. Sourced.

release=(wasm-issuer "$chart" --namespace wasm-issuer)
# The last manifests that had the CRDs and the operator in one file.
before_chart=39ded23
prometheus_operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

# quietly COMMAND...: what it says is shown only if it fails.
quietly() { "$@" >"$work/said" 2>&1 || fail "$* failed: $(cat "$work/said")"; }

# served RESOURCE: until the API server does.
served() {
	for _ in $(seq 150); do
		if kubectl get "$1" -A >/dev/null 2>&1; then return; fi
		sleep 0.2
	done
	fail "the API server does not serve $1"
}

# From its Go module, which holds them: nothing of it is built.
monitoring_crds() {
	local folder
	folder=$(cd "$work" && go mod download -json "$prometheus_operator" 2>/dev/null | sed -n 's/.*"Dir": "\(.*\)",*$/\1/p')
	[ -n "$folder" ] || return 1
	for kind in servicemonitors podmonitors prometheusrules; do
		quietly kubectl apply --server-side -f "$folder/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml"
		served "$kind.monitoring.coreos.com"
	done
}

dry_runs() {
	local values namespace monitoring=yes
	# It has Pod Security's labels: what its restricted level forbids is a warning here.
	quietly kubectl apply --server-side -f deploy/crds.yaml
	served wasmissuers && served wasmclusterissuers
	for namespace in team-a team-b; do kubectl create namespace "$namespace" >/dev/null; done
	monitoring_crds || { monitoring=no && skip "ServiceMonitors and the like are left out: $prometheus_operator cannot be had"; }
	for values in "$chart"/ci/*.yaml; do
		if [ $monitoring = no ] && grep -qE 'Monitor:|Rule:' "$values"; then continue; fi
		render "$values" >"$work/manifest"
		quietly kubectl apply --server-side --dry-run=server -f "$work/manifest"
		! grep -q '^Warning' "$work/said" || fail "$values: $(grep '^Warning' "$work/said")"
		echo "$(basename "$values" -values.yaml): $(wc -l <"$work/said") objects"
	done
}

# image: of the Deployment.
image() { kubectl get deployment wasm-issuer -n wasm-issuer -o jsonpath='{.spec.template.spec.containers[0].image}'; }

# block FILE PATTERN: its block of YAML with such a line.
block() {
	awk -v pattern="$2" '/^```/ { if (open && found) printf "%s", text; open = !open; text = ""; found = 0; next }
		open { text = text $0 "\n"; if ($0 ~ pattern) found = 1 }' "$1"
}

by_kubectl() {
	if git show "$before_chart:deploy/install.yaml" >"$work/before.yaml" 2>/dev/null; then
		quietly kubectl apply --server-side -f "$work/before.yaml"
		echo "applied: deploy/install.yaml of $before_chart"
	else
		skip "not upgraded from deploy/install.yaml of $before_chart: this clone does not have it"
	fi
	quietly kubectl apply --server-side -f deploy/crds.yaml -f deploy/install.yaml
	quietly kubectl apply -f deploy/samples/wasmclusterissuer/issuer.yaml -f deploy/samples/wasmissuer/issuer.yaml

	# Whoever sets the image beside the manifest owns it: told, and mended once, by README.
	quietly kubectl set image -n wasm-issuer deployment/wasm-issuer wasm-issuer=elsewhere:1
	if kubectl apply --server-side -f deploy/install.yaml >"$work/said" 2>&1; then fail 'a changed image is put back in silence'; fi
	grep -q 'conflict with "kubectl-set"' "$work/said" || fail "no conflict: $(cat "$work/said")"
	cp deploy/{crds,install}.yaml "$work"
	{ grep -E '^(resources|images): ' README.md && block docs/policy.md '^patches:'; } >"$work/kustomization.yaml"
	quietly kubectl apply --server-side --force-conflicts -k "$work"
	quietly kubectl apply --server-side -k "$work"
	[ "$(image)" = registry.example.com/team/wasm-issuer:0.1.0 ] || fail "the image is $(image)"
	kubectl get configmap wasm-issuer-policy -n wasm-issuer -o jsonpath='{.data}' | grep -q ca.example.com || fail 'the policy is not patched'
	quietly kubectl kustomize deploy
	echo "the image is $(image), applied again and again"
}

# Like the kubelet: the ConfigMap's file is replaced as a whole.
mount_policy() {
	mkdir -p "$work/etc/policy" "$work/cache"
	kubectl get configmap wasm-issuer-policy -n wasm-issuer -o jsonpath='{.data.policy\.yaml}' >"$work/etc/policy/new"
	mv "$work/etc/policy/new" "$work/etc/policy/policy.yaml"
}

# The operator as the Deployment has it, but for the pod's folders and what the kubelet would fill in.
start_deployed() {
	local args env list='{range .spec.template.spec.containers[0]'
	deployed() { kubectl get deployment wasm-issuer -n wasm-issuer -o jsonpath="$1"; }
	mapfile -t args < <(deployed "$list.args[*]}{@}{\"\n\"}{end}")
	mapfile -t env < <(deployed "$list.env[*]}{.name}={.value}{\"\n\"}{end}" |
		sed -e "s|=/var/cache/wasm-issuer|=$work/cache|" -e "s|=/etc/wasm-issuer/|=$work/etc/|" -e 's/^POD_NAME=$/&a-pod/' \
			-e 's/^WASM_ISSUER_CLUSTER_RESOURCE_NAMESPACE=$/&wasm-issuer/')
	mount_policy
	test/cluster/kubeconfig-for.sh wasm-issuer wasm-issuer "$work/operator.kubeconfig"
	env -i "${env[@]}" KUBECONFIG="$work/operator.kubeconfig" WASM_ISSUER_LEASE_NAMESPACE=wasm-issuer \
		WASM_ISSUER_HEALTH_ADDRESS=127.0.0.1:0 WASM_ISSUER_BUILTIN_DIR="${WASM_ISSUER_PLUGINS:-target/wasm32-wasip2/plugin}" \
		"${WASM_ISSUER_BINARY:-target/debug/wasm-issuer}" "${args[@]}" >"$work/audit" 2>"$OPERATOR_LOG" &
	OPERATOR_PID=$!
	echo "started: wasm-issuer ${args[*]}"
}

# told COMMAND...: quietly, and with the end of the operator's log if it fails.
told() { "$@" >"$work/said" 2>&1 || { tail -n 20 "$OPERATOR_LOG" >&2; fail "$* failed: $(cat "$work/said")"; }; }

# issue NAME: a certificate by the WasmClusterIssuer.
issue() {
	told kubectl wait --for=condition=Ready --timeout=60s wasmclusterissuer/in-memory
	sed -e "s/name: hand-made/name: $1/" -e 's/kind: WasmIssuer, name: my-ca/kind: WasmClusterIssuer, name: in-memory/' \
		deploy/samples/wasmissuer/certificaterequest.yaml | kubectl apply -f - >/dev/null
	quietly kubectl patch certificaterequest "$1" -n team-a --subresource=status --type=merge -p \
		'{"status":{"conditions":[{"type":"Approved","status":"True","reason":"Test","message":"approved"}]}}'
	told kubectl wait --for=condition=Ready --timeout=60s "certificaterequest/$1" -n team-a
	echo "issued: certificaterequest/$1"
}

take_over() {
	local flags=(--take-ownership)
	# It applies on the server's side, where kubectl owns what differs.
	[ "$major" = 3 ] || flags+=(--force-conflicts)
	quietly "$helm" install "${release[@]}" "${flags[@]}" --values "$chart/ci/tuned-values.yaml"
	[ "$(image)" = "ghcr.io/wasm-issuer/wasm-issuer:$(sed -n 's/^appVersion: //p' "$chart/Chart.yaml")" ] || fail "the image is $(image)"
	start_deployed
	issue taken-over
	grep -q '"taken-over"' "$work/audit" || fail "audit: - wrote nothing: $(cat "$work/audit")"
	kubectl get lease tuned -n wasm-issuer >/dev/null || fail 'the Lease has another name'
	told grep -q '^{.*DEBUG' "$OPERATOR_LOG"
}

policy_changes() {
	local before after
	pods() { kubectl get deployment wasm-issuer -n wasm-issuer -o jsonpath='{.metadata.generation}'; }
	before=$(pods)
	quietly "$helm" upgrade "${release[@]}" --values "$chart/ci/tuned-values.yaml" \
		--set-json 'policy={"wasmClusterIssuers":{"sources":["configMap"]}}'
	after=$(pods)
	[ "$before" = "$after" ] || fail 'a changed policy replaces the pods, which is not needed'
	mount_policy
	told kubectl wait --for=condition=Ready=False --timeout=60s wasmclusterissuer/in-memory
	kubectl get wasmclusterissuer in-memory -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}{"\n"}' | tee "$work/said"
	grep -q 'wasmClusterIssuers: {sources: ' "$work/said" || fail 'the policy does not hold'
	kill "$OPERATOR_PID" && wait "$OPERATOR_PID" || true
}

# The newest chart of the history that is another one.
from_previous() {
	local commit found=
	quietly "$helm" uninstall wasm-issuer --namespace wasm-issuer
	for commit in $(git log --format=%h -- "$chart" 2>/dev/null); do
		if ! git diff --quiet "$commit" -- "$chart"; then found=$commit && break; fi
	done
	if [ -z "$found" ]; then
		skip 'not upgraded from a chart before this one: this clone has none'
		quietly "$helm" install "${release[@]}"
	else
		git archive "$found" "$chart" | tar -x -C "$work"
		quietly "$helm" install wasm-issuer "$work/$chart" --namespace wasm-issuer
		echo "installed: $chart of $found"
	fi
	quietly "$helm" upgrade "${release[@]}"
	start_deployed
	issue upgraded
	kill "$OPERATOR_PID" && wait "$OPERATOR_PID" || true
}

# stays WHAT: after it is gone, so is the operator, and what users have made is there.
stays() {
	for gone in deployment/wasm-issuer serviceaccount/wasm-issuer rolebinding/wasm-issuer-leases clusterrole/wasm-issuer; do
		if kubectl get "$gone" -n wasm-issuer >/dev/null 2>&1; then fail "after $1 $gone is still there"; fi
	done
	quietly kubectl get wasmclusterissuer/in-memory certificaterequest/taken-over -n team-a
	quietly kubectl get wasmissuer/my-ca -n team-a
	[ "$(kubectl get namespace wasm-issuer -o jsonpath='{.status.phase}')" = Active ] || fail "$1 deletes the namespace"
	echo "after $1: the CRDs, Issuers and the namespace are there"
}

uninstalled() {
	quietly "$helm" uninstall wasm-issuer --namespace wasm-issuer
	stays 'helm uninstall'
	quietly kubectl apply --server-side -f deploy/crds.yaml -f deploy/install.yaml
	quietly kubectl delete -f deploy/install.yaml
	stays 'kubectl delete -f deploy/install.yaml'
}
