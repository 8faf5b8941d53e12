# The same targets serve a person and CI.
SHELL := /bin/bash
BIN := $(CURDIR)/bin
GO ?= go
export PATH := $(BIN):$(PATH)
# What is compiled does not depend on the folder, so that clones and worktrees share it.
export GOFLAGS := $(strip $(filter-out -trimpath,$(shell $(GO) env GOFLAGS)) -trimpath)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Run the tour: a shop of services behind a Gridway edge.
	$(GO) run ./cmd/gridway demo

.PHONY: build
build: ## Build bin/gridway, and bin/gridway-proxy, the data plane alone.
	$(GO) build -trimpath -o $(BIN)/ ./cmd/gridway ./cmd/gridway-proxy

.PHONY: setup
setup: ## Install what the tests need and is missing (Debian packages, tools).
	./scripts/setup test

# The suites are modules of their own, and so is what they share.
SUITES := acme connect conformance extauthz grpc hbone oidc openapi ratelimit

.PHONY: lint
lint: setup ## Vet, format and lint.
	golangci-lint run ./...
	$(GO) mod tidy -diff
	for suite in harness jaeger spire $(SUITES); do (cd test/$$suite && golangci-lint run -c $(CURDIR)/.golangci.yml ./... && $(GO) mod tidy -diff) || exit 1; done

.PHONY: generate
generate: ## Write generated files anew: CRDs, schema, reference pages.
	$(GO) generate ./...

.PHONY: generate-check
generate-check: ## Fail if a generated file is not current.
	./scripts/generate-check

.PHONY: docs
docs: ## Write the generated pages of docs/ anew.
	$(GO) generate ./...

.PHONY: test
test: ## Everything: lint, generated files, fuzzing for seconds, all tests with -race.
	MAKE="$(MAKE)" ./scripts/everything

# A test that fails is run once more, and reported: tests of time on a machine
# that is short of it must not stop a change. One that fails twice fails. "lint" vets
# the tests, which takes its time and need not be done again when they run.
GOTESTSUM := gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg --rerun-fails=1 --rerun-fails-max-failures=5

.PHONY: unit
unit: ## The tests of the packages, with -race, shuffled.
	$(GOTESTSUM) --packages="$$($(GO) list ./... | grep -v /test/)" -- -race -vet=off -shuffle=on -timeout 10m

# The race detector allocates, so that "unit" cannot hold these.
.PHONY: alloc
alloc: ## The ceilings of allocations and of memory for idle connections.
	$(GO) test -count=1 -vet=off -p 1 -run 'Alloc|Idle' ./internal/proxy ./internal/httpsig ./internal/proxy/websocket ./internal/wire/bufpool ./internal/wire/h2 ./internal/wire/h3 ./internal/wire/netx

# Linked once for all packages that run it, and for the console's demos.
.PHONY: tested
tested:
	$(GO) build -o $(BIN)/gridway-tested ./cmd/gridway

# Most of these tests wait for processes, so that there may be more at once than processors.
.PHONY: integration
integration: setup tested ## End-to-end tests with real clients and servers, two packages at a time, with -race.
	GRIDWAY_BINARY=$(BIN)/gridway-tested $(GOTESTSUM) --packages="./test/..." -- -race -vet=off -p 2 -parallel 4 -timeout 30m

# They wait more than they compute.
.PHONY: suites
suites: ## The suites that others wrote, two at a time.
	$(MAKE) --no-print-directory -j 2 -O $(SUITES)

# A module of its own, as pebble is not among what Gridway needs. Its tests mostly
# wait, for each other too if they are not many at once.
.PHONY: acme
acme: ## Certificates from pebble, an ACME server, against the binary.
	cd test/acme && $(GOTESTSUM) --packages=./... -- -count=1 -parallel 12 -timeout 10m

# A module of its own, which builds the suite's programs too.
.PHONY: connect
connect: ## The conformance suite of Connect, gRPC and gRPC-Web, through the binary.
	cd test/connect && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# A module of its own, for Open Policy Agent and Envoy's types.
.PHONY: extauthz
extauthz: ## External authorization by Open Policy Agent, with the binary.
	cd test/extauthz && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# A module of its own, for dex and the protocol of Chromium.
.PHONY: oidc
oidc: ## People log in with Chromium at dex, through the binary.
	cd test/oidc && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# A module of its own, for grpc-go.
.PHONY: grpc
grpc: ## grpc-go's interoperability cases and more, through the binary.
	cd test/grpc && $(GOTESTSUM) --packages=./... -- -count=1 -parallel 8 -timeout 10m

# A module of its own, for Istio.
.PHONY: hbone
hbone: ## Istio's HBONE, as client and as server of ours.
	cd test/hbone && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# A module of its own, for the validator.
.PHONY: openapi
openapi: ## The admin API against its OpenAPI document, judged by libopenapi-validator.
	cd test/openapi && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# Not among the suites of "test": Jaeger takes minutes to build.
.PHONY: jaeger
jaeger: setup ## Traces of a mesh, by both protocols of OTLP, as Jaeger v2 understands them; builds Jaeger once.
	./scripts/jaeger
	cd test/jaeger && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# Not among the suites of "test": SPIRE takes minutes to build.
.PHONY: spire
spire: setup ## SPIRE and a mesh as peers: federation, joining, calls, Workload API; builds SPIRE once.
	./scripts/spire
	cd test/spire && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# A module of its own, for the service.
.PHONY: ratelimit
ratelimit: ## Envoy's rate limit service, asked by the binary.
	cd test/ratelimit && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 10m

# A module of its own: the suite needs Kubernetes' clients, Gridway does not.
.PHONY: conformance
conformance: ## The Gateway API's conformance suite, against the binary.
	cd test/conformance && $(GOTESTSUM) --packages=./... -- -count=1 -timeout 15m

# SCREENSHOTS=1 writes the pictures of docs/images anew.
.PHONY: console-test
console-test: setup tested ## The console in Chromium, against a running demo: each page, wide, narrow, light, dark.
	cd test/console && { [ node_modules -nt package-lock.json ] || npm ci --no-audit --no-fund --loglevel=error; } && GRIDWAY_BINARY=$(BIN)/gridway-tested timeout 900 npm --silent test

.PHONY: fuzz-short
fuzz-short: ## Run each fuzz target for a few seconds.
	./scripts/fuzz 2s

.PHONY: fuzz
fuzz: ## Run each fuzz target for a minute (FUZZTIME=1m).
	./scripts/fuzz $(or $(FUZZTIME),1m)

.PHONY: soak
soak: ## Ten minutes of load with reloads, upstream kills and slow clients (SOAK=10m).
	./scripts/setup test
	SOAK=$(or $(SOAK),10m) $(GO) test -run TestSoak -count=1 -timeout 1h -v ./test/soak

.PHONY: bench
bench: ## Measure beside NGINX, HAProxy and net/http; writes docs/performance.
	./scripts/setup bench
	$(GO) run ./bench $(BENCHFLAGS)

.PHONY: bench-go
bench-go: ## Go benchmarks of the hot packages, for benchstat.
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./internal/wire/... ./internal/proxy/... ./internal/telemetry/...

.PHONY: clean
clean: ## Remove what was built.
	rm -rf $(BIN) bench/out
