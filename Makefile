# make demo and make test need Python 3.11 or newer and nothing else; both set up .venv here, once, without root.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
WORKDIR := .earthcode-pack
PROFILES := $(sort $(wildcard profiles/*.yaml))
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-emit-index-url

.PHONY: help demo test lint format docs bench samples lock
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY) ## package the three sample products, end to end, into .earthcode-pack
	@set -e; for profile in $(PROFILES); do \
		printf '\n== earthcode-pack run %s\n' "$$profile"; \
		$(BIN)/earthcode-pack run "$$profile" --workdir $(WORKDIR); \
	done
	@printf '\nWhere to look:\n'
	@printf '  what was published   %s\n' $(WORKDIR)/published/*/v*
	@printf '  the report on it     %s\n' $(WORKDIR)/*/v*/report.html

test: $(READY) ## run the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(READY) ## ruff, mypy --strict, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write the generated pages of docs/ again
	$(BIN)/python -m earthcode_pack.profile.markdown docs/profile.md
	$(BIN)/python -m earthcode_pack.checks.rules docs/rules.md

bench: $(READY) ## measure beside the peers: takes an hour (docs/performance.md)
	$(BIN)/python -m benchmarks cog
	$(BIN)/python -m benchmarks zarr
	$(BIN)/python -m benchmarks netcdf

samples: $(READY) ## make sample_data/ again
	$(BIN)/python sample_data/make.py

lock: $(READY) ## resolve requirements/ again from pyproject.toml (add UPGRADE=--upgrade for newer versions)
	$(BIN)/python -m pip install --quiet 'uv>=0.13'
	$(COMPILE) $(UPGRADE) pyproject.toml requirements/extra.in --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml requirements/extra.in --no-annotate --constraints requirements/dev.txt --output-file requirements/run.txt
	echo 'hatchling' | $(COMPILE) - --no-annotate --constraints requirements/dev.txt --output-file requirements/build.txt

# Everything is pinned and checked by hash, the tools that build the package included.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'earthcode-pack needs Python 3.11 or newer: make PYTHON=/path/to/python3'; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
