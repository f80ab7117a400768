# What the README tells people to type; `make` alone lists it.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: help install run demo test test-faults faults-waiting faults-working lint lock

help:
	@echo "make demo | run | test | test-faults | lint | install | lock"

install: .venv/installed

.venv/installed: requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "Metka needs Python 3.11 or newer: install it, or say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

run: install
	$(BIN)/python -m bot

demo: install
	$(BIN)/python -m sandbox.demo

test: install
	$(BIN)/python -m pytest

# The scenarios of the first part mostly wait for pauses to end, so that the other part runs beside it.
FAULTS_WAITING := tests/faults/test_limits.py tests/faults/test_outages.py

test-faults: install
	$(MAKE) --jobs=2 --keep-going --output-sync=target faults-waiting faults-working

faults-waiting:
	$(BIN)/python -m pytest -m '' $(FAULTS_WAITING)

faults-working:
	$(BIN)/python -m pytest -m '' tests/faults $(FAULTS_WAITING:%=--ignore=%)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

lock: install
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 pyproject.toml -o requirements/prod.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 pyproject.toml --group dev -c requirements/prod.txt -o requirements/dev.txt
