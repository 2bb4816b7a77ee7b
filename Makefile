# Every target works on a fresh clone; `make` alone lists them.
GO       ?= go
FUZZTIME ?= 60s

.DEFAULT_GOAL := help
.PHONY: help setup demo test race bench peers plot lint fuzz

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/    make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

setup: ## install what is needed (Debian); silent when all is there
	@scripts/setup

demo: setup ## load SQLite as function-modules, run a workload in it, print figures
	@$(GO) run ./examples/sqlite

test: setup ## vet and run all tests, also those that stop transactions at each step
	$(GO) vet ./... && $(GO) test -timeout 30m ./... && $(GO) test -tags livejit_hooks -run 'TestPublishStep|TestOvertaken|TestBusy|TestFirstCallMeets|TestFreeMeets|TestCloseMeets' .

race: setup ## run the tests of concurrency under Go's race detector
	$(GO) test -race -short . ./internal/epoch ./internal/symtab ./internal/threads ./internal/guard ./internal/codegen

peers: setup ## print the table of livejit side by side with its peers
	@$(GO) run ./bench -only peers

plot: setup ## measure and draw docs/performance.svg
	@$(GO) run ./bench -plot docs/performance.svg

bench: setup ## print load, call and memory figures of this machine
	@$(GO) run ./bench

lint: setup ## gofmt and vet
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./... && $(GO) vet -tags livejit_hooks .

fuzz: setup ## run each fuzz target for FUZZTIME (default 60s)
	@FUZZTIME=$(FUZZTIME) scripts/fuzz
