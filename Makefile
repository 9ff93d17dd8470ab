# Hushwire: the commands of this repository. They need Python 3.11 or newer and make; each one
# prepares .venv itself, when it is missing or a lock has changed.

.PHONY: help up demo test check docs bench torture lock runtime dev
.DEFAULT_GOAL := help

PY := .venv/bin/python
ARGS ?=
export PYTHON WORKERS UPGRADE
# Pyright comes with its package: no look-up of newer versions, no download.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help:  ## show this
	@echo "make up        start the server on http://127.0.0.1:8008 (ARGS=\"--port 9000\")"
	@echo "make demo      watch a message go out, come back and be forgotten"
	@echo "make test      check, then every test"
	@echo "make check     lint, format, types, import rules"
	@echo "make docs      write the generated parts of docs/reference again"
	@echo "make bench     measure what the documents claim"
	@echo "make torture   hundreds of kills: nothing accepted is lost"
	@echo "make lock      write the lock files again (UPGRADE=1 renews the pins)"

up: runtime
	@exec .venv/bin/hushwire up $(ARGS)

demo: runtime
	@exec .venv/bin/hushwire demo $(ARGS)

test: check
	@tools/test.sh $(ARGS)

check: dev
	@echo "==> ruff check"
	@$(PY) -m ruff check --quiet .
	@echo "==> ruff format"
	@$(PY) -m ruff format --check --quiet .
	@echo "==> pyright (strict)"
	@$(PY) -m pyright
	@echo "==> import rules"
	@.venv/bin/lint-imports --no-logo

docs: dev
	@$(PY) tools/docs.py

bench: dev
	@$(PY) bench/forgetting.py
	@exec $(PY) bench/run.py $(ARGS)

torture: dev
	@exec $(PY) -m pytest tests -m torture $(ARGS)

lock: dev
	@tools/lock.sh

runtime:
	@tools/venv.sh runtime

dev:
	@tools/venv.sh dev
