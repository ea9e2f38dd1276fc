# The three commands: `make run` (install, then train on the embedded reviews), `make test`, and `make up`
# (install, then start the dashboards and workers of this folder).
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: run test quick numerics browser up lint bench lock databases clean

run: $(INSTALLED)
	$(VENV)/bin/rnnflow train reviews

# One process more than cores, since some tests wait for servers; each has one thread of torch, as two that share their
# cores would wait for one another.
PROCESSES := $(shell $(PYTHON) -c "import os; print(os.cpu_count() + 1)")
# Long files first, as tests/conftest.py puts them; without the last option those with most tests would be first.
PARALLEL := --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder

# Compiled modules are kept even where the machine forbids it, as many containers do: else each of the processes that the
# tests start compiles all of rnnflow anew.
export PYTHONDONTWRITEBYTECODE :=

# ORDER="--random-order --random-order-seed=1" shuffles the tests of each file, and the files.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest $(PARALLEL) $(ORDER)

# The tests that start no server and no process, and share no fitted models: a first answer while one works.
quick: $(INSTALLED)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest $(PARALLEL) \
	  -m "not costly and not slow and not gpu and not browser"

# Libraries choose their arithmetic by the processor, so what must be equal is compared as on an old one, as on one with
# no more than SSE 4.2 for products, and on all cores as on one without AVX-512.
NUMPY_FEATURES := X86_V4 AVX512_ICL AVX512_SPR
AS_OLD := ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=SSE41 NPY_DISABLE_CPU_FEATURES="X86_V3 $(NUMPY_FEATURES)"
AS_SSE := MKL_ENABLE_INSTRUCTIONS=SSE4_2
AS_AVX2 := ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 NPY_DISABLE_CPU_FEATURES="$(NUMPY_FEATURES)"
NUMERIC_TESTS := -m numeric tests/rnnmodels tests/tasks/kinds tests/tasks/prediction

numerics: $(INSTALLED)
	$(AS_OLD) OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile $(NUMERIC_TESTS)
	$(AS_SSE) OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --dist loadfile $(NUMERIC_TESTS)
	$(AS_AVX2) $(VENV)/bin/python -m pytest $(NUMERIC_TESTS)

# Needs Chromium; without one the tests say so and are skipped.
browser: $(INSTALLED)
	$(VENV)/bin/python -m pytest -m browser -rs tests/browser

up: $(INSTALLED)
	$(VENV)/bin/rnnflow up

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ty check

bench: $(INSTALLED)
	$(MAKE) --directory benchmarks

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("rnnflow needs Python 3.11 or newer; try: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint requirements.lock --editable '.[dev,subword]'
	@touch $@

# Resolve the ranges of pyproject.toml again, for every platform and Python version they admit. The extra `sequences` is
# left out: of its package one data set is read, and its bounds would hold pandas back for everybody.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra subword --upgrade --no-annotate \
	  --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml
	rm -r .venv-lock

# The empty databases of the installed Prefect and MLflow as SQL, after another version was installed.
databases: $(INSTALLED)
	rm -rf .databases tasks/tracking/*.sql.gz && mkdir .databases
	env -u PREFECT_API_URL PREFECT_HOME=$(CURDIR)/.databases $(VENV)/bin/python -m prefect server database upgrade -y
	$(VENV)/bin/python -c "import mlflow; mlflow.MlflowClient('sqlite:///.databases/mlflow.db').search_registered_models()"
	$(VENV)/bin/python -m tasks.tracking.empty_database prefect .databases/prefect.db
	$(VENV)/bin/python -m tasks.tracking.empty_database mlflow .databases/mlflow.db
	rm -rf .databases

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
