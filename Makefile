# Everything runs in .venv; PYTHON is only used to create it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/peers

.PHONY: setup demo test test-fast attack lint bench peers clean

setup: $(READY)

# Compiling the byte code once makes every later start two to five times faster.
$(READY): pyproject.toml requirements-dev.lock
	@echo "setting up $(VENV): about two minutes and 1.5 GiB, once"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@# Some libraries ship a module for newer Pythons only, which does not compile here: that is no failure.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true
	@touch $(READY)

demo: $(READY)
	$(BIN)/leadscore demo

# One worker more than cores, for some tests wait for a server and need no core meanwhile. The tests
# of a file stay together, because they share what they set up.
WORKERS = $(shell $(BIN)/python -c "import os; print((os.cpu_count() or 1) + 1)")
TESTS = $(BIN)/python -m pytest tests --ignore=tests/benchmarks -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(READY)
	$(TESTS)

# The unit tests: no servers, no killed processes, no simulated company. About three minutes on two cores.
test-fast: $(READY)
	$(TESTS) -m "not slow and not server"

# The attack on the nightly run at its full size, with a table of what was tried: at most twenty minutes.
attack: $(READY)
	LEADSCORE_ATTACK=1 $(BIN)/python -m pytest tests/faults -n auto --dist loadfile --no-loadscope-reorder

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
