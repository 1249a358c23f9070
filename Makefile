# The names here are the ones that README and CI use. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
HELM := 3
PLUGINS := in-memory-ca cfssl step-ca aws-pca
TEST_PLUGINS := minimal-plugin hostile-plugin hostile-http-plugin counted-ca-plugin
# Whatever CARGO_TARGET_DIR or the user's configuration says, all of this finds what it built.
override CARGO_TARGET_DIR := $(shell realpath -m -- "$(or $(CARGO_TARGET_DIR),target)")
WASM_ISSUER_BINARY ?= $(CARGO_TARGET_DIR)/debug/wasm-issuer
WASM_ISSUER_PLUGINS ?= $(CARGO_TARGET_DIR)/wasm32-wasip2/plugin
WASM_ISSUER_LANGUAGES ?= $(CARGO_TARGET_DIR)/languages
# What is released, and the image's name.
DIST ?= $(CARGO_TARGET_DIR)/dist
IMAGE ?= wasm-issuer:$(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
export CARGO_TARGET_DIR WASM_ISSUER_BINARY WASM_ISSUER_PLUGINS WASM_ISSUER_LANGUAGES IMAGE
# Nothing here is for another platform, nor for the user's own cluster.
unexport CARGO_BUILD_TARGET KUBECONFIG
# Always the same packages: Cargo compiles dependencies anew where another choice asks them for other features.
HOST := --locked --workspace --exclude in-memory-ca --exclude '*-plugin'
say = @printf '\033[1m==> %s\033[0m\n' "$(1)" >&2
# The test cluster, helm, which shares most of it, the CFSSL servers, the CA with an HTTP API, the registries, the oracle and cosign. They lock each other out.
GO_BUILDS := { test/cluster/build.sh --cert-manager && test/go-tool.sh helm && { test/go-tool.sh kube-score || true; } && test/cfssl/build.sh && test/http-ca/build.sh && test/registry/build.sh && test/oracle/build.sh && { test/go-tool.sh cosign || true; }; } >/dev/null

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

.PHONY: demo
demo: setup-go ## Issue a certificate on a real API server and show it (builds for 16 to 40 minutes the first time)
	$(call say,building)
	@test/together.sh rust '15 to 30 minutes on 2 cores' '$(MAKE) --no-print-directory build plugins' \
	  go '' 'test/cluster/build.sh --cert-manager >/dev/null'
	$(call say,running the demo: test/demo.sh)
	@test/cluster/run.sh --cert-manager -- test/demo.sh

.PHONY: test
test: setup-go ## Run all tests and count them (after the demo some minutes of building)
	$(call say,building)
	@test/together.sh rust '20 to 40 minutes on 2 cores' '$(MAKE) --no-print-directory build plugins test-plugins build-tests' \
	  go '' '$(GO_BUILDS)'
	@test/summary.sh $(MAKE) --no-print-directory test-unit test-oracle test-chart test-cluster test-docs test-speed

.PHONY: test-all
test-all: lint-tools lint demo test test-languages test-cas test-monitoring ## Run everything, also what needs tools that are built first
	@$(MAKE) --no-print-directory test-chart HELM=4

.PHONY: test-unit
test-unit: plugins test-plugins ## Run the tests that need no cluster
	$(call say,unit tests and plugin tests)
	$(CARGO) test $(HOST)

.PHONY: test-oracle
test-oracle: setup-go plugins ## Compare with what cert-manager, Go, OpenSSL and Java say (ORACLE_SEED=random, _MUTATIONS, _SECRETS)
	$(call say,what this operator and cert-manager say of the same CSRs and certificates)
	@test/oracle/build.sh >/dev/null
	@set -o pipefail; $(CARGO) test $(HOST) --lib -- --ignored --nocapture go_and_ | tee /dev/stderr | grep -c '^test result: ok. [1-9]' >/dev/null
	$(call say,what clients and cert-manager say of the in-memory CA)
	@set -o pipefail; $(CARGO) test $(HOST) --test clients -- --ignored --nocapture | tee /dev/stderr | grep -c '^test result: ok. [1-9]' >/dev/null

.PHONY: languages
languages: ## Build the plugins in Go, JavaScript, Python and C (gets their tools once: 8 minutes on 2 cores)
	$(call say,plugins in other languages: test/languages.sh)
	@test/languages.sh "$(WASM_ISSUER_LANGUAGES)"

.PHONY: test-languages
test-languages: build plugins test-plugins cluster languages ## Issue with the plugins in Go, JavaScript, Python and C, against a real CA
	$(CARGO) test $(HOST) --test languages --no-run
	$(call say,plugins in other languages)
	@test/cluster/run.sh --cert-manager -- $(CARGO) test $(HOST) --test languages -- $(TEST_ARGS)

.PHONY: test-cas
test-cas: build plugins test-plugins cluster ## Issue with the plugins for real CAs, each against its server (builds them once: 10 minutes on 2 cores)
	$(CARGO) test $(HOST) --test cas --no-run
	$(call say,the servers of the CAs: test/cas.sh)
	@test/cas.sh
	$(call say,plugins for real CAs)
	@test/cluster/run.sh --cert-manager -- $(CARGO) test $(HOST) --test cas -- $(TEST_ARGS)

.PHONY: test-monitoring
test-monitoring: build plugins cluster ## What promtool says of metrics and alerts, and who may read them (builds promtool once)
	$(call say,the alerts: test/monitoring.sh rules)
	@test/monitoring.sh rules
	@test/cluster/run.sh -- test/monitoring.sh metrics

.PHONY: test-chart
test-chart: build plugins cluster ## Lint the chart, and install, upgrade and uninstall it on a real API server (HELM=4: with Helm 4)
	$(call say,the chart: test/chart.sh)
	@test/chart.sh lint $(HELM)
	@test/cluster/run.sh -- test/chart.sh cluster $(HELM)

.PHONY: fuzz
fuzz: ## Run each fuzz target for MINUTES (default 1); needs the nightly compiler and cargo-fuzz
	@test/fuzz.sh

.PHONY: test-cluster
test-cluster: build plugins test-plugins cluster ## Run the tests against a real API server
	$(call say,building the cluster tests)
	$(CARGO) test $(HOST) --test cluster --no-run
	$(call say,what the API server makes of the CRDs: crds/test/check.sh)
	@test/cluster/run.sh crds/test/check.sh
	$(call say,the CFSSL plugin natively against real servers)
	@set -o pipefail; $(CARGO) test $(HOST) --lib -- --ignored api::tests::real | tee /dev/stderr | grep -c '^test result: ok. [1-9]' >/dev/null
	$(call say,its cases recorded from real servers)
	@set -o pipefail; $(CARGO) test $(HOST) --test cli -- --ignored cases:: | tee /dev/stderr | grep -c '^test result: ok. [1-9]' >/dev/null
	$(call say,cluster tests)
	@test/cluster/run.sh --cert-manager -- $(CARGO) test $(HOST) --test cluster -- $(TEST_ARGS)

.PHONY: test-docs
test-docs: build plugins cluster ## Run the commands of README.md and docs/ against real API servers (DOCS_ARGS=NAME)
	$(call say,the commands of README.md and docs/)
	@$(CARGO) test $(HOST) --test commands -- $(DOCS_ARGS)

.PHONY: build-tests
build-tests: setup
	$(CARGO) test $(HOST) --no-run
	$(CARGO) test $(HOST) --test cluster --test commands --test speed --no-run

.PHONY: setup setup-go
setup: ## Check, and install where rustup can, what the Rust builds need
	@test/setup.sh
setup-go: ## The same, and Go
	@test/setup.sh go

.PHONY: build
build: setup ## Build the operator and CLI
	$(call say,building wasm-issuer (the first time wasmtime too: 15 to 30 minutes on 2 cores))
	$(CARGO) build $(HOST) --bin wasm-issuer

.PHONY: plugins
plugins: setup ## Build the plugins that the image ships
	$(call say,building plugins: $(PLUGINS))
	$(CARGO) build --locked --target wasm32-wasip2 --profile plugin $(PLUGINS:%=-p %)

.PHONY: test-plugins
test-plugins: setup ## Build the components that only tests use
	$(call say,building test plugins: $(TEST_PLUGINS))
	$(CARGO) build --locked --target wasm32-wasip2 --profile plugin $(TEST_PLUGINS:%=-p %)

.PHONY: cluster
cluster: setup-go ## Build the servers that tests run against, once (15 to 25 minutes on 2 cores)
	@$(GO_BUILDS)

.PHONY: dist
dist: ## Build what is released for this platform: a static binary and the plugins (6 to 20 minutes on 2 cores)
	@test/setup.sh static
	$(call say,building what is released into $(DIST))
	@deploy/release/build.sh "$(DIST)" $(PLUGINS)

.PHONY: image
image: ## Build the image of this commit, as IMAGE=name:tag, for this machine's platform (buildah or docker)
	@test/setup.sh static image
	@$(MAKE) --no-print-directory dist
	$(call say,building the image $(IMAGE))
	@deploy/image.sh build "$(DIST)" "$(IMAGE)"

.PHONY: image-test
image-test: image cluster ## Run the image as a pod would be, and issue with it (as root)
	$(call say,the same files make the same image: deploy/release/reproduce.sh)
	@deploy/release/reproduce.sh image "$(DIST)" "$(IMAGE)"
	$(call say,the demo with the operator of the image $(IMAGE): test/image.sh)
	@WASM_ISSUER_OPERATOR=test/image.sh test/cluster/run.sh --cert-manager -- test/demo.sh

.PHONY: reproduce
reproduce: image ## Build what `make image` built again, from a clone in another folder, and compare (another 6 to 20 minutes)
	$(call say,building all again in another place: deploy/release/reproduce.sh)
	@deploy/release/reproduce.sh all "$(DIST)" "$(IMAGE)"

.PHONY: test-speed
test-speed: build plugins test-plugins cluster ## What a certificate may cost beside a bare writer, on any machine (half a minute)
	$(call say,the speed test)
	@set -o pipefail; test/cluster/run.sh -- $(CARGO) test $(HOST) --test speed -- --nocapture | tee /dev/stderr | grep -c '^test result: ok. [1-9]' >/dev/null

.PHONY: bench
bench: plugins test-plugins cluster ## Measure beside an issuer in Go and a bare writer (release build, then half an hour; BENCH_ARGS=--help)
	$(call say,building the release binary and the benchmark)
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) build --locked --release -p wasm-issuer-bench
	$(CARGO) build --locked --release -p wasm-issuer --example sandbox
	@peer=$$(test/bench/build.sh) && WASM_ISSUER_PEER="$$peer" WASM_ISSUER_BINARY="$(CARGO_TARGET_DIR)/release/wasm-issuer" \
	  WASM_ISSUER_SANDBOX="$(CARGO_TARGET_DIR)/release/examples/sandbox" \
	  test/cluster/run.sh -- "$(CARGO_TARGET_DIR)/release/bench" $(BENCH_ARGS)

.PHONY: bench-neighbours
bench-neighbours: plugins test-plugins cluster ## Measure what a tenant notices while another does its worst (a release build, then half an hour)
	$(call say,building the release binary and the benchmark)
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) build $(HOST) --example neighbours
	@# GOGC: with Go's default, a single processor shows the API server's garbage collector, twice in three seconds, and little else.
	@# It is told to collect before each row.
	@GOGC=off GOMEMLIMIT=3GiB WASM_ISSUER_BINARY="$(CARGO_TARGET_DIR)/release/wasm-issuer" test/apart.sh test/cluster/run.sh -- "$(CARGO_TARGET_DIR)/debug/examples/neighbours"

.PHONY: bench-issuers
bench-issuers: plugins test-plugins cluster ## Measure a start with 10,000 Issuers and what they cost at rest (release build: about 10 minutes more)
	$(call say,building the release binary and the benchmark)
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) build $(HOST) --example many-issuers
	@WASM_ISSUER_BINARY="$(CARGO_TARGET_DIR)/release/wasm-issuer" test/cluster/run.sh -- "$(CARGO_TARGET_DIR)/debug/examples/many-issuers"

.PHONY: bench-shards
bench-shards: build plugins test-plugins cluster ## Measure what a second process adds to one, and what limits them (five minutes; REQUESTS)
	$(CARGO) build $(HOST) --example shards
	@test/cluster/run.sh -- "$(CARGO_TARGET_DIR)/debug/examples/shards"

.PHONY: bench-languages
bench-languages: plugins languages ## Measure what plugins in several languages cost, into docs/languages.md (a release build, then two minutes)
	$(call say,building the release binary and the benchmark)
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) build --locked --release -p wasm-issuer-bench --bin languages
	$(CARGO) build --locked --release -p wasm-issuer --example languages
	@"$(CARGO_TARGET_DIR)/release/languages" "$(CARGO_TARGET_DIR)/release/examples/languages" "$(CARGO_TARGET_DIR)/release/wasm-issuer" \
	  C="$(WASM_ISSUER_LANGUAGES)/c.wasm" Rust="$(WASM_ISSUER_PLUGINS)/cfssl.wasm" Go="$(WASM_ISSUER_LANGUAGES)/go.wasm" \
	  JavaScript="$(WASM_ISSUER_LANGUAGES)/js.wasm" Python="$(WASM_ISSUER_LANGUAGES)/python.wasm"

.PHONY: bench-load
bench-load: plugins ## Measure a start with fifty plugins, with an empty cache folder and with a warm one
	$(CARGO) build --locked --release -p wasm-issuer
	$(CARGO) run --locked --release -p wasm-issuer --example warm-start -- \
	  "$(CARGO_TARGET_DIR)/release/wasm-issuer" "$(WASM_ISSUER_PLUGINS)/in_memory_ca.wasm"

.PHONY: chaos
chaos: build plugins test-plugins cluster ## Kill, stop and swap what works while 1,000 requests are signed (three minutes; REQUESTS, ISSUERS)
	$(CARGO) build $(HOST) --example chaos
	$(call say,chaos: two replicas and whatever may happen to them)
	@test/cluster/run.sh --restart -- "$(CARGO_TARGET_DIR)/debug/examples/chaos"

.PHONY: lint
lint: setup ## Check formatting, lints, licences, spelling, scripts and generated files
	$(call say,lint)
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(HOST) --all-targets -- -D warnings
	$(CARGO) clippy --locked --target wasm32-wasip2 --profile plugin $(PLUGINS:%=-p %) $(TEST_PLUGINS:%=-p %) -- -D warnings
	@for script in .ci/run .github/scripts/*.sh deploy/*.sh deploy/release/*.sh plugins/*/*.sh plugins/*/*/*.sh test/*.sh test/*/*.sh test/*/*/*.sh crds/test/*.sh; do bash -n "$$script" || exit 1; done
	@test/docs.sh
	@test/circles.sh
	@test/lint-tools.sh
	@$(MAKE) --no-print-directory check-generated

.PHONY: lint-tools
lint-tools: setup ## Build cargo-deny and typos, which `make lint` runs where they are built (some minutes, once)
	@test/lint-tools.sh build

.PHONY: generate
generate: build setup-go ## Write the generated files: CRDs, the schemas of plugins, the references of fields, metrics and the CLI, the audit's schema, the chart's README and the manifests
	"$(WASM_ISSUER_BINARY)" crds --dir crds
	"$(WASM_ISSUER_BINARY)" api-reference > docs/api.md
	"$(WASM_ISSUER_BINARY)" audit-schema > docs/audit.schema.json
	"$(WASM_ISSUER_BINARY)" metrics > docs/metrics.md
	"$(WASM_ISSUER_BINARY)" reference > docs/cli.md
	WASM_ISSUER_GENERATE=1 $(CARGO) test $(HOST) --test schemas
	deploy/render.sh deploy

.PHONY: check-generated
check-generated: build setup-go ## Fail if a generated file is not up to date
	@temp=$$(mktemp -d) && trap 'rm -rf "$$temp"' EXIT && mkdir "$$temp/crds" && "$(WASM_ISSUER_BINARY)" crds --dir "$$temp/crds" >/dev/null \
	  && diff -ru --exclude=test crds "$$temp/crds" && "$(WASM_ISSUER_BINARY)" api-reference | diff -u docs/api.md - \
	  && "$(WASM_ISSUER_BINARY)" metrics | diff -u docs/metrics.md - && "$(WASM_ISSUER_BINARY)" reference | diff -u docs/cli.md - \
	  && "$(WASM_ISSUER_BINARY)" audit-schema | diff -u docs/audit.schema.json - \
	  && cp -a deploy "$$temp" && deploy/render.sh "$$temp/deploy" && diff -ru deploy "$$temp/deploy" \
	  || { echo 'Generated files differ: run `make generate` and commit the result.' >&2; exit 1; }

.PHONY: fmt
fmt: setup ## Format the code
	$(CARGO) fmt --all

.PHONY: clean
clean: ## Remove what was built here (not the cache of the test cluster)
	$(CARGO) clean
