# Chorale. `make` does what CI does; `make run` starts the server with the app; `make help` lists the rest.

.DEFAULT_GOAL := test
.NOTPARALLEL: # the runners use all cores by themselves, and their output stays readable
.DELETE_ON_ERROR:

ADDR     ?= 127.0.0.1:4000
DATA     ?= ./chorale-data
FUZZTIME ?= 10s
SOAK     ?= 10000000
SEED     ?= $(shell date +%j)000
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

sources    = $(shell find $(1) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test/*' -not -path '*/e2e/*')
client     = web/client/dist/index.mjs
react      = web/react/dist/index.mjs
notes      = web/notes/dist/index.html
# npm writes this file at the end of an installation; what is newer than it was not installed.
installed  = node_modules/.package-lock.json
node_tests = node --test --test-force-exit --test-reporter=spec --test-concurrency=1

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- build and run

.PHONY: run
run: build ## Build everything and serve it, with the notes app, at http://127.0.0.1:4000 (ADDR, DATA).
	@exec bin/chorale serve --dev --addr $(ADDR) --data $(DATA)

CLUSTER_PORT ?= 4000

.PHONY: cluster
cluster: build ## Three nodes on a cluster of three NATS servers, at http://127.0.0.1:4000 to 4002 (CLUSTER_PORT).
	@go run ./internal/cluster/run -chorale bin/chorale -port $(CLUSTER_PORT)

.PHONY: build
build: $(client) $(react) $(notes) bin/chorale ## Build the SDKs, the app and the binary with the app in it.

.PHONY: bin/chorale
bin/chorale: $(notes) # go knows what has changed
	@scripts/need go
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/chorale

$(client): $(call sources,web/client) web/$(installed)
	npm --prefix web run build --workspace @chorale/client
	@touch $@

$(react): $(call sources,web/react) $(client)
	npm --prefix web run build --workspace @chorale/react
	@touch $@

$(notes): $(call sources,web/notes) $(client) $(react)
	npm --prefix web run build --workspace chorale-notes
	@touch $@

# Not `npm ci`: it refuses a lockfile without the binaries of platforms other than the one it was written on. What is in the
# lockfile is installed as it says; the lockfile is not changed.
%/$(installed): %/package-lock.json
	@scripts/need node npm
	npm install --prefix $* --no-save --no-audit --no-fund
	@touch $@

# ---- test

.PHONY: test
test: lint test-go test-web test-clients test-e2e ## Everything that CI does: lint, and all tests.
	@echo "chorale: all tests passed"

.PHONY: lint
lint: $(client) $(react) ## Formatting, vet, lint and types, Go and TypeScript; the packages as they are published.
	@scripts/need go
	@unformatted=$$(find . -name node_modules -prune -o -name '*.go' -exec gofmt -l {} +); test -z "$$unformatted" || { echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; }
	go vet -trimpath ./... # as the build has it, so that it compiles nothing twice
	for os in darwin freebsd netbsd; do GOOS=$$os go vet ./internal/transport ./internal/nonblock ./internal/engine/embedded || exit 1; done # what is not run here compiles at least
	cd bench/postgres-changes && go vet ./...
	cd bench/transports && go vet ./...
	cd web && node_modules/.bin/biome check . ../conformance/clients ../bench/compare
	npm --prefix web run typecheck --workspaces
	npm --prefix web run packages
	npm --prefix web run reference -- --emit none

.PHONY: docs
docs: web/$(installed) ## The reference of the SDKs, made of their doc comments: web/reference/index.html.
	npm --prefix web run reference

.PHONY: api
api: $(client) $(react) ## Write the public surface of the SDKs into web/*/api, after a change of it that is meant.
	npm --prefix web run api

.PHONY: test-go
test-go: ## Go tests with the race detector.
	@scripts/need go cc
	go test -race ./...
	go test -run Alloc ./internal/hub ./internal/session # budgets hold without the race detector
	cd bench/postgres-changes && go test ./... # a module of its own; without PostgreSQL most of it is skipped
	cd bench/transports && go test ./... # likewise; without the race detector, see its README

.PHONY: test-web
test-web: $(client) $(react) web/react/compat/react18/$(installed) web/react/compat/next/$(installed) ## Tests of the SDKs and the app, with React 19 and 18, and the types of Next.
	npm --prefix web run test --workspaces --if-present
	npm --prefix web run test:react18 --workspace @chorale/react
	npm --prefix web run test:next --workspace @chorale/react

.PHONY: test-clients
test-clients: bin/chorale conformance/clients/$(installed) ## Unmodified supabase-js and phoenix against the binary.
	cd conformance/clients && $(node_tests) test/*.test.js

.PHONY: test-e2e
test-e2e: bin/chorale $(client) $(react) ## The app and the examples in two real browsers against the binary.
	@scripts/need chromium
	cd web/notes && $(node_tests) e2e/*.test.mjs
	cd web/examples && $(node_tests) e2e/*.test.mjs

.PHONY: soak
soak: ## The long forms: hundreds of kill -9 and power losses; a cluster that is broken for half an hour; 10,000,000 steps of the simulation (SOAK), from a seed that differs each day (SEED).
	@scripts/need go
	go test ./internal/cluster -run 'TestCluster$$' -cluster.rounds=20 -timeout 4h -v
	CHORALE_SOAK=1 go test ./internal/engine/embedded ./internal/server -run 'TestCrash|TestPowerLoss|TestKill' -timeout 4h -v
	go test ./internal/sim -run 'TestSoak$$' -sim.soak=$(SOAK) -sim.seed=$(SEED) -timeout 4h -v

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10s).
	@scripts/need go
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' client cmd internal protocol | while IFS=: read -r file name; do \
		echo "fuzz $${name#func } in $$(dirname $$file)"; \
		go test "./$$(dirname $$file)" -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; \
	done

.PHONY: bench
bench: bin/chorale ## Measure the binary on this machine: latency, rooms, fan-out, connections, silence, a flood. Takes minutes.
	for what in latency rooms fanout connect idle flood; do bin/chorale bench $$what || exit 1; done

.PHONY: peers
peers: ## Build what Chorale is compared with, in bench/; what cannot be built is left out, in one line.
	@scripts/need go
	bench/compare/build
	cd bench/postgres-changes && go build -trimpath -o bin/ . || echo "postgres-changes is left out: it does not build here" >&2

.PHONY: compare
compare: bin/chorale peers ## Measure Chorale beside what is in bench/, and write docs/benchmarks.md anew. Takes an hour (RUNS, MAX_RUNS).
	bench/run docs/benchmarks

.PHONY: clean
clean: ## Remove what was built; data and installed packages stay.
	rm -rf bin web/client/dist web/react/dist
	find web/notes/dist -mindepth 1 -not -name .keep -delete
