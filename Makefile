# Each target does all of its own set-up: a .venv in the checkout, installed again only when its inputs change.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: demo live test check
demo: $(INSTALLED)
	$(VENV)/bin/mode-ssm demo

live: $(INSTALLED)
	$(VENV)/bin/mode-ssm demo --live

test: $(INSTALLED)
	$(VENV)/bin/pytest

check: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python scripts/check_wheels.py || [ $$? -eq 2 ]
	$(VENV)/bin/python scripts/fuzz.py seconds=30 || [ $$? -eq 3 ]
	$(VENV)/bin/pytest

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
