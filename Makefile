# The two commands of the README are `make demo` and `make test`; both set up what they need, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-all lint types imports sizes check pins recording interop hostile bench clean

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(STAMP)  ## The whole chain once: mine, publish, serve, answer, compare; no key, no model server
	@$(BIN)/boxwright demo --out demo-out

test: $(STAMP)  ## The core tests: under five minutes, no torch
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 -m "not extended"

test-all: $(STAMP)  ## All tests, those of extras and services too (tools/ and `make interop` install what they need)
	@sh tools/docker.sh
	@sh tools/training.sh $(BIN)/python || echo "torch could not be installed: the tests of training are skipped"
	$(BIN)/python -m pytest -q

$(STAMP): pyproject.toml requirements/dev.txt tools/sandbox.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Boxwright needs Python 3.11 or later; run: make PYTHON=/path/to/python3.11 demo"; exit 1; }
	@echo "Setting up $(VENV) (once, a few minutes) ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@sh tools/sandbox.sh
	@touch $@

lint: $(STAMP)  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

imports: $(STAMP)  ## Who may import whom
	$(BIN)/lint-imports

sizes: $(STAMP)  ## Files under 600 lines, functions under 80
	$(BIN)/python tools/sizes.py

check: lint types imports sizes  ## Everything but the tests

interop: $(STAMP)  ## Install the official MCP suite, Inspector and SDKs for the tests, outside the repository
	@PYTHON=$(CURDIR)/$(BIN)/python sh tools/interop.sh

bench: $(STAMP)  ## Speed of a box's call beside a plain FastMCP tool
	$(BIN)/python benchmarks/calls.py

hostile: $(STAMP)  ## What each hostile box got, in each sandbox
	$(BIN)/python benchmarks/hostile.py

recording: $(STAMP)  ## Make the demo's recording and the trusted digests anew from the hand-written completions
	$(BIN)/python tests/support/demo_recording.py

# torch's CPU build has other hashes than the one for GPUs, and for Linux it brings the latter's libraries; so it is in no file
# here, and what is beside it is resolved for another system, where it has none of them.
LOCK = uv pip compile --universal --generate-hashes --no-header --no-annotate --quiet
pins:  ## Resolve requirements/ anew: for development, and for each image (needs uv)
	$(LOCK) pyproject.toml --extra all --group dev --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra telemetry --constraint requirements/dev.txt --output-file requirements/server.txt
	$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/student.txt
	$(LOCK) pyproject.toml --extra teacher --constraint requirements/dev.txt --output-file requirements/teacher.txt
	$(subst --universal,--python-platform aarch64-apple-darwin --python-version 3.11,$(LOCK)) pyproject.toml --extra train --constraint requirements/dev.txt --no-emit-package torch --output-file requirements/train.txt
	echo hatchling | $(LOCK) - --constraint requirements/dev.txt --output-file requirements/build.txt

clean:  ## Remove what the two commands made
	rm -rf $(VENV) demo-out
