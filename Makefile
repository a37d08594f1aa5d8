# `make` alone prints the targets. `make run` is all a newcomer needs.

SHELL := /bin/bash

# The directory of the runtime images, which running and testing share.
export COVE_IMAGES ?= $(CURDIR)/.cache/images
# Where `make run` keeps its state and listens.
export COVE_DATA ?= $(CURDIR)/.cache/data
API ?= 127.0.0.1:7070
GATEWAY ?= 127.0.0.1:8080

# Git may be missing, or refuse a tree that belongs to another user.
BUILDVCS := $(shell git status --porcelain >/dev/null 2>&1 && echo auto || echo false)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=PATH,http_proxy,https_proxy,no_proxy)

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: deps build runsc images ## Install what is missing, build, start Cove and deploy two examples
	@COVE_API_ADDRESS=$(API) COVE_GATEWAY_ADDRESS=$(GATEWAY) scripts/run.sh

.PHONY: test
test: deps build runsc images ## Run every check and test
	@scripts/test.sh

.PHONY: test-cgroup2
test-cgroup2: deps runsc images ## Test the drivers on control groups of version 2, in an emulated machine
	@scripts/cgroup2.sh

.PHONY: bench
bench: bench-deps ## Measure Cove beside raw baselines, in 10 minutes (ARGS, such as "-rows warm")
	@go build -buildvcs=false -o bin/bench ./bench && $(SUDO) bin/bench $(ARGS)

.PHONY: bench-full
bench-full: bench-deps ## The same with as many samples as every row needs, in an hour and a quarter
	@go build -buildvcs=false -o bin/bench ./bench && $(SUDO) bin/bench -full $(ARGS)

.PHONY: bench-deps
bench-deps: deps build runsc images
	@scripts/asgi.sh

.PHONY: soak
soak: deps build runsc images ## Run 50 functions for 10 minutes (SOAK) under load, with trouble of every kind
	@scripts/soak.sh

.PHONY: fuzz
fuzz: ## Fuzz every parser for 20 s (FUZZTIME)
	@scripts/fuzz.sh

.PHONY: deps
deps: ## Install what is missing and start Docker where it does not run
	@scripts/deps.sh

.PHONY: build
build: web ## Build bin/cove, the console in it
	@CGO_ENABLED=0 go build -trimpath -buildvcs=$(BUILDVCS) -ldflags '-s -w' -o bin/cove ./cmd/cove

.PHONY: web
web: ## Build the console into web/dist, where its sources are newer
	@scripts/web.sh

.PHONY: runsc
runsc: bin/runsc ## Build bin/runsc, gVisor's sandbox

bin/runsc: tools/runsc/go.mod tools/runsc/go.sum scripts/runsc.sh
	@scripts/runsc.sh

.PHONY: images
images: build ## Build the runtime images, those that are not up to date
	@$(SUDO) bin/cove image build --all --images $(COVE_IMAGES)

.PHONY: clean
clean: ## Remove what was built; the state of `make run` stays
	@$(SUDO) rm -rf bin .cache/images .cache/staticcheck .cache/cgroup2 web/node_modules && find web/dist -mindepth 1 ! -name placeholder.html -delete
