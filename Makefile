# Needs Python 3.11 or 3.12 with pip, and make. PYTHON=/path/to/python3.12 picks one; otherwise scripts/find-python.sh does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PYTHON

PYTHON_IN_VENV := .venv/bin/python
UV := .bootstrap/bin/uv
# Two test processes: more would fight for the cores of a small machine. make test WORKERS=8 on a large one.
WORKERS ?= 2
TESTS ?= $(wildcard tests src/qloom)
# Folders mypy and ruff look at; those that do not exist yet are left out.
CHECKED := $(wildcard src tests benchmarks scripts examples docs)
TYPED := $(wildcard src tests benchmarks docs)
OTHER_ENVIRONMENTS := $(filter-out qloom bootstrap,$(basename $(notdir $(wildcard environments/*.lock))))
COMPILE := $(UV) pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11

.PHONY: help setup environment envs demo test bench bench-quick docs lint locks clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv with qloom and every extra, from locked and hashed packages; as root also system packages for tests
	@scripts/build-environment.sh qloom
	@scripts/install-system-packages.sh
	@echo "ready: .venv/bin/qloom"

# What the targets below need: the same .venv, built when it is missing or its lock has changed.
environment:
	@scripts/build-environment.sh qloom

envs: ## make the environments that exclude the main one (Amazon's own SDK, Covalent), in .environments/
	@for name in $(OTHER_ENVIRONMENTS); do scripts/build-environment.sh "$$name"; done

demo: environment ## run a variational program end to end and leave its report in build/demo/
	@mkdir -p build/demo
	@$(PYTHON_IN_VENV) scripts/demo.py

# One OpenMP thread per process: with more, two test processes slow each other down several times over.
test: environment ## run all tests and the examples in docstrings (TESTS=tests/devices for a part, WORKERS=8 for more processes)
	@OMP_NUM_THREADS=1 $(PYTHON_IN_VENV) -m pytest -n $(WORKERS) --dist worksteal --doctest-modules $(TESTS)

bench: environment ## measure qloom against its peers, into build/bench.json
	@mkdir -p build
	@$(PYTHON_IN_VENV) -m benchmarks

bench-quick: environment ## the same with few repetitions: a check that the benchmarks run, not a measurement
	@mkdir -p build
	@$(PYTHON_IN_VENV) -m benchmarks --quick

# Everything anew each time (-E): parts are made from code that Sphinx does not watch.
docs: environment ## build the documentation into build/docs/, warnings are errors
	@$(PYTHON_IN_VENV) -m sphinx -W --keep-going -n -q -E -b html -d build/docs-trees docs build/docs
	@echo "documentation: build/docs/index.html"

lint: environment ## check style, formatting and types
	@$(PYTHON_IN_VENV) -m ruff check $(CHECKED)
	@$(PYTHON_IN_VENV) -m ruff format --check $(CHECKED)
	@$(PYTHON_IN_VENV) -m mypy $(TYPED)

# Each environment's .in file names what it adds; qloom's own requirements and tools are read from pyproject.toml.
# Run inside environments/, so that the locks say `-r qloom.in` and no path of this machine.
locks: ## renew every lock in environments/ within the floors and bounds given
	@scripts/build-bootstrap.sh
	@cd environments && for target in \
	    "qloom --all-extras --group ../pyproject.toml:dev ../pyproject.toml" \
	    "braket-sdk ../pyproject.toml" \
	    "covalent ../pyproject.toml" \
	    "bootstrap"; do \
	    set -- $$target; name=$$1; shift; \
	    ../$(COMPILE) "$$@" "$$name.in" --output-file "$$name.lock"; \
	    echo "renewed environments/$$name.lock"; \
	done

clean: ## remove environments, caches and build/
	rm -rf .bootstrap .environments .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests scripts benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
