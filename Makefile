# Every target sets up what it needs by itself (scripts/setup); `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
DESTDIR ?=
CNI_DIR ?= /opt/cni/bin
WITH_LINT ?=
export PREFIX DESTDIR CNI_DIR

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install what building, the demonstration and the tests need
	@scripts/setup build demo test

.PHONY: build
build: ## compile everything, optimised, into target/release
	@scripts/setup build
	@scripts/cargo build --release --workspace

.PHONY: demo
demo: ## the Star Wars story, isolated from this host, every outcome checked
	@scripts/setup demo
	@scripts/demo

.PHONY: demo-metrics
demo-metrics: ## Prometheus reads a running agent, and the queries of every dashboard are asked
	@scripts/setup metrics
	@scripts/demo-metrics

.PHONY: test
test: ## every test; WITH_LINT=1 adds format and clippy
	@scripts/setup test $(if $(WITH_LINT),format)
	@scripts/test $(if $(WITH_LINT),--lint)

.PHONY: test-hubble
test-hubble: ## Hubble's own command line against a running agent; its first build takes ten minutes and Go
	@scripts/setup demo
	@scripts/test-hubble

.PHONY: test-kernels
test-kernels: ## the kernel-facing tests on Debian's 6.1 kernel in QEMU; ten to twenty-five minutes
	@scripts/setup kernels
	@scripts/test-kernels

.PHONY: test-receivers
test-receivers: ## export flows to OpenTelemetry's own collector, which takes some minutes to build the first time
	@scripts/setup receivers
	@scripts/cargo test --package ciliate-export --features collector --test collector

.PHONY: bench
bench: ## measure against veth, routing, iptables, nftables, nginx, haproxy, dnsmasq and unbound; ARGS="compare --only rr" narrows it
	@scripts/setup bench
	@scripts/cargo build --release --workspace
	@scripts/bench $(ARGS)

.PHONY: lint
lint: ## format, clippy, licences and sources of dependencies, shell scripts
	@scripts/setup lint
	@scripts/lint

.PHONY: fuzz
fuzz: ## run every fuzz target for a while; SECONDS_EACH=60
	@scripts/setup fuzz
	@scripts/fuzz $(SECONDS_EACH)

.PHONY: docs
docs: ## write the references that are made from the code
	@scripts/setup build
	@scripts/cargo run --quiet --package xtask -- docs

.PHONY: install
install: build ## put binary, CNI plug-in, unit, completions and man pages in place; PREFIX, DESTDIR, CNI_DIR
	@scripts/install

.PHONY: uninstall
uninstall: ## remove what install put there
	@scripts/install --remove

.PHONY: clean
clean: ## remove what was built
	@scripts/cargo clean
	@rm -rf fuzz/target
