# The names here are the ones that README and CI use. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
BINARY := target/debug/wasm-issuer
PLUGINS := in-memory-ca cfssl
TEST_PLUGINS := minimal-plugin hostile-plugin hostile-http-plugin
say = @printf '\033[1m==> %s\033[0m\n' "$(1)" >&2

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

.PHONY: demo
demo: build plugins cluster ## Issue a certificate on a real API server and show it (first run: about 20 minutes of building)
	$(call say,running the demo: test/demo.sh)
	@test/cluster/run.sh --cert-manager -- test/demo.sh

.PHONY: test
test: test-unit test-cluster ## Run all tests (first run: about 20 minutes of building)

.PHONY: test-unit
test-unit: plugins test-plugins ## Run the tests that need no cluster
	$(call say,unit tests and plugin tests)
	$(CARGO) test --locked --workspace --exclude wasm-issuer-e2e --exclude 'in-memory-ca' --exclude '*-plugin'

.PHONY: test-cluster
test-cluster: build plugins test-plugins cluster ## Run the tests against a real API server
	$(call say,building the cluster tests)
	$(CARGO) test --locked -p wasm-issuer-e2e --no-run
	$(call say,what the API server makes of the CRDs: crds/test/check.sh)
	@test/cluster/run.sh crds/test/check.sh
	$(call say,the CFSSL plugin natively against real servers)
	$(CARGO) test --locked -p cfssl -- --ignored
	$(call say,cluster tests)
	@test/cluster/run.sh --cert-manager -- $(CARGO) test --locked -p wasm-issuer-e2e -- $(TEST_ARGS)

.PHONY: build
build: ## Build the operator and CLI
	$(call say,building wasm-issuer (the first time wasmtime too: about 8 minutes on 2 cores))
	$(CARGO) build --locked -p wasm-issuer

.PHONY: plugins
plugins: ## Build the plugins that the image ships
	$(call say,building plugins: $(PLUGINS))
	$(CARGO) build --locked --target wasm32-wasip2 --profile plugin $(PLUGINS:%=-p %)

.PHONY: test-plugins
test-plugins: ## Build the components that only tests use
	$(call say,building test plugins: $(TEST_PLUGINS))
	$(CARGO) build --locked --target wasm32-wasip2 --profile plugin $(TEST_PLUGINS:%=-p %)

.PHONY: cluster
cluster: ## Build etcd, kube-apiserver and kubectl for tests, once (about 10 minutes on 2 cores)
	@test/cluster/build.sh >/dev/null

.PHONY: bench-attack
bench-attack: plugins test-plugins cluster ## Measure a good Issuer while hostile plugins do their worst (release build: about 10 minutes more)
	$(call say,building the release binary and the benchmark)
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) build --locked -p wasm-issuer-e2e --example attack
	@WASM_ISSUER_BINARY=target/release/wasm-issuer test/cluster/run.sh -- target/debug/examples/attack

.PHONY: bench-load
bench-load: plugins ## Measure a start with fifty plugins, with an empty cache folder and with a warm one
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) run --locked --release -p wasm-issuer --example warm-start -- \
	  target/release/wasm-issuer target/wasm32-wasip2/plugin/in_memory_ca.wasm

.PHONY: lint
lint: ## Check formatting, lints, scripts and generated files
	$(call say,lint)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -p wasm-issuer-core -p wasm-issuer-runtime -p wasm-issuer -p wasm-issuer-sdk -p cfssl-fixture -p wasm-issuer-e2e -- -D warnings
	$(CARGO) clippy --locked --target wasm32-wasip2 --profile plugin $(PLUGINS:%=-p %) $(TEST_PLUGINS:%=-p %) -- -D warnings
	@for script in .ci/run deploy/*.sh test/*.sh test/cluster/*.sh test/cfssl/*.sh crds/test/*.sh; do bash -n "$$script" || exit 1; done
	@test/docs.sh
	@$(MAKE) --no-print-directory check-generated

.PHONY: generate
generate: build ## Write the generated files: CRDs and install manifest
	$(BINARY) crds --dir crds
	deploy/render.sh > deploy/install.yaml

.PHONY: check-generated
check-generated: generate ## Fail if a generated file was not up to date
	@git diff --exit-code -- crds deploy/install.yaml \
	  || { echo 'Generated files differ: run `make generate` and commit the result.' >&2; exit 1; }

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: clean
clean: ## Remove what was built here (not the cache of the test cluster)
	$(CARGO) clean
