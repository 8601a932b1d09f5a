# Every target prepares what it needs by itself. Say `make` for the list.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.run-ready
DEV    := $(VENV)/.dev-ready
ARGS   ?=
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
# An environment that was only half made is made anew.
.DELETE_ON_ERROR:
.PHONY: help demo run test faults check bench browser node clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUN) ## try everything: sandbox vendor, demo tenant, sample triggers (ARGS=--once ends after the receipts)
	$(BIN)/survey-plugin demo $(ARGS)

run: $(RUN) ## serve on this machine (ARGS="--port 8080" and so on)
	$(BIN)/survey-plugin serve $(ARGS)

test: $(DEV) browser node ## run all tests (ARGS="-k zendesk" narrows them)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

faults: $(DEV) ## crash the program under load and see what was lost or doubled (ROUNDS=3 ENGINE=sqlite|postgresql|both)
	$(BIN)/python tests/faults/run.py --rounds $(or $(ROUNDS),1) --engine $(or $(ENGINE),both)

check: $(DEV) ## lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(DEV) ## measure, each figure beside its floor (ONLY=accept picks one, STORE=sqlite a store, PROFILE=1 shows where the time goes)
	$(BIN)/python -m benchmarks $(ONLY) $(ARGS)

browser: ## install a browser for the page tests, where there is none
	@$(PYTHON) tests/browser/install_browser.py

node: ## install Node.js and npm for the tests of app packages, where there is none
	@$(PYTHON) tests/manifests/install_node.py

clean: ## remove the environment and everything made
	rm -rf $(VENV) dist var .mypy_cache .ruff_cache .pytest_cache

$(VENV)/pyvenv.cfg:
	@echo "Making the environment in $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 15) else "survey-plugin needs Python 3.11 to 3.14; say make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(RUN): $(VENV)/pyvenv.cfg requirements/run.txt pyproject.toml
	@echo "Installing locked requirements (requirements/run.txt) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@echo "Installing locked development requirements (requirements/dev.txt) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
