# What the README tells people to type; `make` alone lists it.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: help setup install run demo test test-all coverage bench lint lock
# Two targets never install into .venv at once.
.NOTPARALLEL:

help:
	@echo "make demo | setup | run | test | test-all | coverage | bench | lint | install | lock"

# $(1): a file of requirements/. An existing .venv keeps what is in it.
define install_into_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "Metka needs Python 3.11 or newer: install it, or say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
$(PYTHON) -m venv .venv
@echo "Installing $$(grep -c '==' $(1)) packages from $(1): a minute or two …"
$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r $(1)
endef

# What the bot and the demo need: no development tools.
setup: .venv/runtime

.venv/runtime: requirements/prod.txt
	$(call install_into_venv,$<)
	@touch $@

# requirements/dev.txt holds all of prod.txt, so it makes .venv/runtime current, too.
install: .venv/installed

.venv/installed: requirements/dev.txt
	$(call install_into_venv,$<)
	@touch .venv/runtime $@

run: .venv/runtime
	$(BIN)/python -m bot

demo: .venv/runtime
	$(BIN)/python -m sandbox.demo

# Tests wait a lot, hence four processes for two cores.
test: install
	$(BIN)/python -m pytest -n 4 --dist worksteal

# Also what is marked slow, and more examples of each property.
test-all: install
	$(BIN)/python -m pytest -n 4 --dist worksteal -m '' --hypothesis-profile=full

# Branches of bot, services and storage that the tests reach in pytest's own processes.
coverage: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'coverage>=7.10'
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

# `.venv/bin/python -m benchmarks NAME…` runs some of it.
bench: install .venv-peers/installed
	$(BIN)/python -m benchmarks

# What Metka is only compared with, away from its own packages.
.venv-peers/installed: requirements/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/peers.txt
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

lock: install
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 pyproject.toml -o requirements/prod.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 pyproject.toml --group dev -c requirements/prod.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 --group peers -o requirements/peers.txt
