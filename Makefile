# Everything runs in .venv; PYTHON is only used to create it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/peers

.PHONY: setup demo test lint bench peers clean

setup: $(READY)

# Compiling the byte code once makes every later start two to five times faster.
$(READY): pyproject.toml requirements-dev.lock
	@echo "setting up $(VENV): about two minutes and 1.5 GiB, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	-$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null
	@touch $(READY)

demo: $(READY)
	$(BIN)/leadscore demo

test: $(READY)
	$(BIN)/python -m pytest tests --ignore=tests/benchmarks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY) peers
	$(BIN)/python -m pytest tests/benchmarks -rs

# What the benchmarks compare with needs other versions than leadscore, so it lives apart.
peers: $(PEERS)/.ready

$(PEERS)/.ready: tests/benchmarks/peers.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

clean:
	rm -rf $(VENV) workspace
