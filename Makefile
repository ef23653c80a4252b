# What a developer and CI run. Needs Python 3.11 or newer with venv, git and make; everything else is set up in .venv.
#
#   make demo     the example estate planned and applied in a throw-away folder
#   make test     lint, types and all tests; as root on Debian or Ubuntu the real servers are installed first
#                 (SERVERS=no: no installation, and the tests that need a missing server say so)
#   make lint     lint and types alone
#   make fuzz     the random tests with a large budget
#   make clean    everything that was made here

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

SERVERS ?= yes
WORKERS ?= 2
BIN := .venv/bin
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$python" && break; done)

# The stamp is written last, so a set-up that was cut short has none. It is void where the environment no longer
# runs: Python was upgraded under it, or the checkout was moved (its scripts name their folder).
ifneq ($(shell $(BIN)/pip --version >/dev/null 2>&1 && echo runs),runs)
.PHONY: .venv/.ready
endif

.PHONY: demo test lint types servers fuzz clean

demo: .venv/.ready
	@$(BIN)/python -m tests.demo

test: .venv/.ready servers lint
	@echo "== tests"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder # else one long story runs alone at the end

lint: .venv/.ready
	@echo "== lint, format, types"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

fuzz: .venv/.ready
	@$(BIN)/python -m pytest -m fuzz --hypothesis-profile=fuzz

servers:
	@if [ "$(SERVERS)" = no ]; then \
		echo "== servers: not installed (SERVERS=no); tests that need a missing one say so"; \
	elif [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then \
		echo "== servers: installing what is missing"; bash tests/servers/install.sh; \
	else \
		echo "== servers: not installed (needs root on Debian or Ubuntu); tests that need a missing one say so"; \
	fi

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv found (Debian: apt install python3-venv)" >&2; exit 1; }
	@if [ -e $@ ] && $(BIN)/pip --version >/dev/null 2>&1; then \
		echo "== set-up: bringing .venv up to date"; \
	else \
		echo "== set-up: making .venv with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear .venv; \
	fi
	@rm -f $@
	@echo "== set-up: installing the locked packages (a minute or so)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv var build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.git -prune -o -name __pycache__ -prune -exec rm -rf {} +
