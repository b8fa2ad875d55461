# Everything a new machine needs is installed by these targets; each says what it does. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help setup system check test test-all test-user demo bench clean lock

help:
	@echo "make demo      build and run a real web app and a Go service, naive and lean; prints a table"
	@echo "make test      everything a change must pass: check, then the tests as root or you, then as an unprivileged user"
	@echo "make test-all  make test plus the long suites: examples, conformance against other builders, fuzzing"
	@echo "make check     formatting, lint, types, import contracts"
	@echo "make bench     the speed budgets, measured against the builders that are installed"

$(BIN)/.ready: pyproject.toml requirements/dev.lock
	@echo "==> virtual environment in $(VENV), with the pinned development tools"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(BIN)/.ready

system:
	@sh tools/install_system.sh test

check: setup
	@echo "==> ruff, mypy, import contracts"
	@$(BIN)/ruff format --check -q src tests tools bases benchmarks
	@$(BIN)/ruff check -q src tests tools bases benchmarks
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

test: system check
	@echo "==> tests as $$(id -un)"
	@$(BIN)/python -m pytest -n 2 --maxprocesses 2 -m "not slow"
	@sh tools/test_as_user.sh

test-user: setup
	@sh tools/test_as_user.sh

test-all: test
	@echo "==> long suites"
	@$(BIN)/python -m pytest -m slow
	@$(BIN)/python tools/fuzz.py --seconds 60

demo:
	@sh tools/install_system.sh demo
	@$(MAKE) -s setup
	@$(BIN)/python tools/demo.py

bench: setup
	@$(BIN)/python -m benchmarks

lock:
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install -q -e '.[dev]'
	@.venv-lock/bin/pip freeze --exclude-editable > requirements/dev.lock && rm -rf .venv-lock

clean:
	rm -rf $(VENV) .venv-lock build dist .coverage .mypy_cache .ruff_cache .hypothesis
