# Everything a builder runs. `make` alone lists the targets; each sets up what it needs by itself.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.installed
LINK := .build/cairnfs
PROTOS := $(wildcard protos/*.proto)
PACKAGES := client common datanode namenode
SEED ?= 1

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check bench sim proto format clean format-check lint types drift imports fast

help: ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## a cluster, real files, two kill -9 in the middle, every byte compared (under 3 minutes)
	@$(PY) -m tests.demo

test: $(STAMP) ## every test, the simulator's 2,000 seeds with it (under 8 minutes)
	@CAIRNFS_SIM_SEEDS=$${CAIRNFS_SIM_SEEDS:-2000} $(PY) -m pytest

check: format-check lint types drift imports fast ## format, lint, types, generated code, imports, fast tests (under 2 minutes)

bench: $(STAMP) ## measure speed and memory, and print the table
	@$(PY) -m tests.bench

sim: $(STAMP) ## replay one simulated cluster: make sim SEED=7
	@$(PY) -m tests.sim $(SEED)

proto: $(STAMP) ## generate protos/*_pb2* again
	@$(call generate,.build)

format: $(STAMP) ## format the code, and mend what the linter can
	@$(PY) -m ruff check --quiet --fix . ; $(PY) -m ruff format .

clean: ## remove everything that is not source
	@rm -rf $(VENV) .build build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# --- the parts of `make check` ---------------------------------------------------------------------------------------

format-check: $(STAMP) ## is the code formatted?
	@$(PY) -m ruff format --quiet --check . || { echo 'some files are not formatted: run make format'; $(PY) -m ruff format --check . ; }

lint: $(STAMP) ## ruff's rules
	@$(PY) -m ruff check --quiet .

types: $(STAMP) ## mypy --strict on the packages and the tests
	@$(PY) -m mypy $(PACKAGES:%=-p cairnfs.%) -p tests

drift: $(STAMP) ## is the generated code what protos/*.proto say?
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(call generate,$$fresh); \
	for made in "$$fresh"/cairnfs/protos/*; do \
		cmp -s "$$made" "protos/$${made##*/}" || { echo "protos/$${made##*/} is not what its .proto says: run make proto"; exit 1; }; \
	done

imports: $(STAMP) ## who may import whom
	@$(PY) -m pytest -q --no-header tests/unit/test_imports.py

fast: $(STAMP) ## the tests that take no time
	@CAIRNFS_SIM_SEEDS=$${CAIRNFS_SIM_SEEDS:-50} $(PY) -m pytest -q --no-header -n 2 --dist worksteal -m 'not slow' \
		--ignore=tests/cluster --ignore=tests/unit/test_imports.py

# --- setting up ------------------------------------------------------------------------------------------------------

# $(call generate,ROOT) writes ROOT/cairnfs/protos/*_pb2*; the path decides what the generated code imports.
define generate
mkdir -p $(1) && $(PY) -m grpc_tools.protoc -I.build --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) \
	$(PROTOS:%=.build/cairnfs/%)
endef

# What runs CairnFS, and the demo. tests/choose_python finds a Python that can make a virtual environment.
$(RUNTIME): pyproject.toml
	@mkdir -p .build && ln -sfn .. $(LINK)
	@if ! $(PY) -c '' 2>/dev/null; then \
		python=$$(tests/choose_python); \
		echo "setting up $(VENV) with $$($$python --version)"; \
		rm -rf $(VENV) && $$python -m venv $(VENV); \
	fi
	@$(PY) -m pip install --quiet --editable '.[demo]'
	@touch $@

# What builds and tests it, too.
$(STAMP): $(RUNTIME)
	@$(PY) -m pip install --quiet --editable '.[dev]'
	@touch $@
