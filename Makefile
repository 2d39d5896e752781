# Everything a newcomer needs: `make demo` and `make test` set up what they use.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Operators, servers and workers are started by the hundred: each would compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What builds and audits a release has an environment of its own, so that neither is among what it looks at.
RELEASE_VENV := .venv-release
RELEASE_STAMP := $(RELEASE_VENV)/.installed
# One more than there are cores: tests wait for the control plane most of the time.
PYTEST_WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: help
help: ## Print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=… to one")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: setup
setup: $(STAMP) ## Make the virtual environment from the hash-locked requirements

.PHONY: cluster
cluster: $(STAMP) ## Build the embedded control plane (cached)
	$(BIN)/python -m devcluster build

.PHONY: demo
demo: cluster ## The main job before your eyes, on a real control plane
	$(BIN)/python -m demo

.PHONY: readme-picture
readme-picture: cluster ## Record README's picture and captured session anew
	$(BIN)/python -m demo --plain --svg docs/img/demo.svg --record README.md

.PHONY: faults
faults: cluster ## Break everything at every write of every remedy, and write docs/faults.md
	$(BIN)/python -m tests.faults.matrix

.PHONY: bench
bench: cluster ## Measure: a table, and bench/results/latest.json
	$(BIN)/python -m bench

.PHONY: bench-docs
bench-docs: $(STAMP) ## Write docs/benchmarks.md from the last figures
	$(BIN)/python -m bench --write-docs

.PHONY: lint
lint: $(STAMP) ## ruff, mypy, import contracts, stale generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.crds --check
	$(BIN)/python -m tools.rbac --check
	$(BIN)/python -m tools.checks --check

.PHONY: test
test: lint ## All checks and tests; the last lines are pytest's
	$(BIN)/python -m devcluster build --all
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

MUTANTS := .venv-mutants

$(MUTANTS)/.installed: requirements-mutants.txt
	@test -x $(MUTANTS)/bin/python || $(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/python -m pip install --quiet --require-hashes -r requirements-mutants.txt
	@touch $@

.PHONY: mutants
mutants: $(MUTANTS)/.installed ## Mutation testing of what decides; takes long, and is no part of test
	$(MUTANTS)/bin/python -m tools.mutants

.PHONY: crds
crds: $(STAMP) ## Generate crds/ and the field tables of docs/api/ from the models
	$(BIN)/python -m tools.crds

.PHONY: rbac
rbac: $(STAMP) ## Generate deploy/'s Roles from the rules declared in the code
	$(BIN)/python -m tools.rbac

.PHONY: docs
docs: $(STAMP) ## Generate the index of docs/checks/ from the checks
	$(BIN)/python -m tools.checks

.PHONY: lock
lock: $(STAMP) ## Resolve pyproject.toml anew into the hash-locked requirements
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml --group dev -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --group pyproject.toml:release -o requirements-release.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links -c requirements-dev.txt pyproject.toml --group mutants -o requirements-mutants.txt

$(RELEASE_STAMP): requirements-release.txt
	@test -x $(RELEASE_VENV)/bin/python || $(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/python -m pip install --quiet --require-hashes -r requirements-release.txt
	@touch $@

.PHONY: audit
audit: $(RELEASE_STAMP) ## Ask for known vulnerabilities of all that is locked; needs the network
	$(RELEASE_VENV)/bin/python -m tools.audit

.PHONY: release
release: cluster $(RELEASE_STAMP) ## Make dist/ from the commit: wheel, sdist, manifests, SBOM, sums
	$(BIN)/python -m tools.release --programs $(RELEASE_VENV)/bin

.PHONY: clean
clean: ## Remove what was made here, but for the control plane's cache
	rm -rf $(VENV) $(RELEASE_VENV) $(MUTANTS) mutants build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
