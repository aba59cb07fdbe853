# One word each, the same here and in CI. Every target installs what it needs first.
#   make demo    build the example shop and show its predictions
#   make test    the tests
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DIFFERENTIAL := .venv-differential
RAY := .venv-ray
BUCKET := .venv-bucket
# Workers of pytest; each of them may run torch and DuckDB, so their own threads are kept at one.
JOBS ?= 2
# A folder of databases with label tables, for make bench.
SUITE ?=
# Texts of make fuzz, and where their seeds begin.
INPUTS ?= 100000
SEED ?= 0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := False

# Whether a PostgreSQL server is on this machine, so that its tests run.
HAS_POSTGRES = command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1

# $(call beside,FOLDER): a virtual environment that sees what .venv has, so that little is installed into it.
define beside
	test -x $(1)/bin/python || $(BIN)/python -m venv $(1)
	$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' \
	    >"$$($(1)/bin/python -c 'import site; print(site.getsitepackages()[0])')/dbt_rfm_dev.pth"
endef

.PHONY: help install demo test postgres fuzz differential ray bucket check fmt bench build clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install everything for work on dbt-rfm

# torch first and by itself: it is the largest part, and pip then keeps the build it has found.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "dbt-rfm needs Python 3.11 or newer, $(PYTHON) is older. Name another: make PYTHON=python3.11 …"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP) ## build the example shop with dbt and show its predictions and backtests
	OMP_NUM_THREADS=2 $(BIN)/dbt-rfm demo example_project

test: $(STAMP) postgres ## all tests that need no GPU and no account
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -q

postgres: ## a PostgreSQL server for the tests, from Debian's packages where they may be installed
	@$(HAS_POSTGRES) || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq update && \
	    apt-get -qq install -y --no-install-recommends postgresql >/dev/null; } || \
	    echo 'No PostgreSQL server is here and none can be installed: the tests that need one are skipped.'

fuzz: $(STAMP) ## hostile query texts, for the night: make fuzz INPUTS=100000 SEED=0
	$(BIN)/python tests/unit/pql/pql_fuzzer.py $(INPUTS) $(SEED)

differential: ## our parser beside the one of the language's owner, in a virtual environment of its own
	test -x $(DIFFERENTIAL)/bin/python || $(PYTHON) -m venv $(DIFFERENTIAL)
	$(DIFFERENTIAL)/bin/python -m pip install -q 'structured-data-models-client[relational]==1.0.0' lark sqlglot duckdb pyyaml pytest
	PYTHONPATH=. $(DIFFERENTIAL)/bin/python tests/differential/compare.py
	PYTHONPATH=. $(DIFFERENTIAL)/bin/python tests/differential/labels.py
	PYTHONPATH=. $(DIFFERENTIAL)/bin/python -m pytest -q --noconftest tests/differential

ray: $(STAMP) postgres ## workers with helpers on a real Ray cluster of this machine, in a virtual environment of its own
	$(call beside,$(RAY))
	$(RAY)/bin/python -m pip install -q -c constraints.txt 'ray>=2.40'
	OMP_NUM_THREADS=1 $(RAY)/bin/python -m pytest -q tests/warehouses/test_ray_helpers.py

# Without the constraints: the client of S3 needs a botocore that is older than the one Snowflake's takes.
bucket: $(STAMP) ## trained weights in a bucket of S3 that a server on this machine stands in for, in one of its own too
	$(call beside,$(BUCKET))
	$(BUCKET)/bin/python -m pip install -q 'moto[server]>=5' 's3fs>=2025'
	OMP_NUM_THREADS=1 $(BUCKET)/bin/python -m pytest -q tests/functional/test_bucket.py

check: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: $(STAMP) ## format and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## figures on a folder of databases with label tables: make bench SUITE=folder
	@test -n '$(SUITE)' || { echo 'Name the folder: make bench SUITE=folder'; exit 2; }
	mkdir -p build
	$(BIN)/dbt-rfm bench $(SUITE) --protocol rolling --split test --json build/bench.json

build: $(STAMP) ## wheel and source distribution, in dist/
	$(BIN)/python -m hatchling build

clean: ## remove what demo, test and build left behind, .venv excepted
	rm -rf dist example_project/{data,target,logs,dbt_packages,package-lock.yml} example_project/*.duckdb*
