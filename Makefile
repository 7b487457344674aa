# `make demo` and `make test` need Rust, Go, Python and Node; all else they install or build themselves, outside the
# checkout, below $(CACHE). The first time that takes about a quarter of an hour on two cores for the one, and half an
# hour for the other.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(or $(REDSHIFT_LINK_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/redshift-link)
CARGO_TARGET_DIR ?= $(CACHE)/target
export CARGO_TARGET_DIR
export PYTHONPATH := tests
PYTHON = "$$(tests/bench/venv.sh)/bin/python"

.PHONY: help
help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

.PHONY: demo
demo: ## the story of a link, on a local API server and local accounts; KEEP=1 leaves it running
	@$(MAKE) -j3 program control-plane python-packages
	@REDSHIFT_LINK_BINARY="$(CARGO_TARGET_DIR)/debug/redshift-link" $(PYTHON) -m bench.demo $(if $(KEEP),--keep)

.PHONY: demo-stop
demo-stop: ## ends what `make demo KEEP=1` left running
	@$(PYTHON) -m bench.demo --stop

.PHONY: test
test: ## all tests, and all checks of style, documents and generated files
	@echo "== $$(date +%T) building: the program and its tests; beside it etcd and the API server"
	@$(MAKE) -j3 program control-plane-all python-packages
	@$(MAKE) lint
	@$(MAKE) test-rust
	@$(MAKE) test-bench

.PHONY: lint
lint: ## formatting, clippy, documentation
	@echo "== $$(date +%T) formatting, clippy, documentation"
	@cargo fmt --check
	@cargo clippy --locked --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet

.PHONY: test-rust
test-rust: program control-plane python-packages ## the program's own tests
	@echo "== $$(date +%T) the program: units, sweeps over in-memory accounts, the built program over the local accounts"
	@cargo test --locked -- --test-threads=4

.PHONY: test-bench
test-bench: program control-plane-all python-packages ## tests of the bench itself, and of the chart
	@echo "== $$(date +%T) the bench: does it refuse what AWS refuses? the chart: does it install?"
	@python3 -m unittest bench.controlplane.test_controlplane
	@REDSHIFT_LINK_BINARY="$(CARGO_TARGET_DIR)/debug/redshift-link" \
		$(PYTHON) -m pytest -q -p no:cacheprovider tests/bench/aws tests/bench/chart

.PHONY: sweeps
# They compute for long, so the program's own crate is optimised; its dependencies stay as they were built.
sweeps: export CARGO_PROFILE_DEV_OPT_LEVEL := 1
sweeps: program control-plane python-packages ## what of the sweeps takes too long for `make test`: every kill, every order, 10,000 lives of jobs
	@cargo test --locked --test it -- --ignored --nocapture --test-threads=2

.PHONY: bench
bench: control-plane python-packages ## time, calls, CPU and memory for 1, 50 and 500 links and 200 jobs, release build; LINKS=1,50 JOBS=50
	@echo "== $$(date +%T) the release build"
	@cargo build --locked --release
	@REDSHIFT_LINK_BINARY="$(CARGO_TARGET_DIR)/release/redshift-link" $(PYTHON) -m bench.performance \
		$(if $(LINKS),--links $(LINKS)) $(if $(JOBS),--jobs $(JOBS)) $(if $(JSON),--json $(JSON))

.PHONY: generated
generated: program ## writes the generated files anew
	@for folder in crds charts/redshift-link/files/crds; do \
		"$(CARGO_TARGET_DIR)/debug/redshift-link" crds --out "$$folder"; done

.PHONY: program control-plane control-plane-all python-packages
# With its tests, also for the demo: alone it would be built with fewer features of its libraries, and all of them again.
program:
	@cargo test --locked --no-run
control-plane:
	@python3 -m bench.controlplane build
control-plane-all:
	@python3 -m bench.controlplane build etcd kube-apiserver kube-controller-manager kubectl helm kube-scheduler kwok
python-packages:
	@tests/bench/venv.sh >/dev/null
