# make demo and make test need Python 3.12 or newer and nothing else; both set up .venv here, once, without root.
# The newest Python that is on the path, or among pyenv's versions, is taken; PYTHON=/path/to/python3 names another.
PYTHON ?= $(shell sh requirements/find-python.sh)
BIN := .venv/bin
WORKDIR := .earthcode-pack
PROFILES := $(sort $(wildcard profiles/*.yaml))
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --fork-strategy fewest --python-version 3.12 \
	--generate-hashes --no-strip-extras --no-emit-index-url
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode
export UV_PYTHON_DOWNLOADS := never
# Modules are compiled once, not by each process that a test starts.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test lint format docs abuse bench samples lock
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/core ## package the three sample products, end to end, into .earthcode-pack
	@set -e; for profile in $(PROFILES); do \
		printf '\n== earthcode-pack run %s\n' "$$profile"; \
		$(BIN)/earthcode-pack run "$$profile" --workdir $(WORKDIR); \
	done
	@printf '\nWhere to look:\n'
	@printf '  what was published   %s\n' $(WORKDIR)/published/*/v*
	@printf '  the report on it     %s\n' $(WORKDIR)/*/v*/report.html

test: .venv/dev ## run the tests, on every core
	$(BIN)/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)

lint: .venv/dev ## ruff, mypy --strict, the direction of imports, declared dependencies, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin -p earthcode_pack -p earthcode_flows
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 -p earthcode_pack -p earthcode_flows
	$(BIN)/lint-imports
	$(BIN)/deptry earthcode_pack flows
	$(BIN)/codespell

format: .venv/dev ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev ## write the generated pages of docs/ again
	$(BIN)/python -m earthcode_pack.profile.markdown docs/profile.md
	$(BIN)/python -m earthcode_pack.checks.rules docs/rules.md

# KILLS is the number of kills of each format; FUZZ how many minutes are fuzzed. A part that is not there is left out.
FUZZ ?= 2
ABUSE := PYTHONPATH=tests $(BIN)/python -m abuse
abuse: .venv/dev ## hostile inputs, kills, full disks and fuzzing, counted: an hour, or 20 minutes with KILLS=25
	@status=0; \
	$(ABUSE) || status=1; \
	test ! -f tests/abuse/kills.py || $(ABUSE).kills || status=1; \
	test ! -f tests/abuse/full_disk.py || ! unshare -rm true 2>/dev/null || \
		PYTHONPATH=tests unshare -rm $(BIN)/python -m abuse.full_disk || status=1; \
	$(ABUSE).fuzz --minutes $(FUZZ) || status=1; \
	exit $$status

bench: .venv/dev ## measure beside the peers: takes an hour (docs/performance.md)
	$(BIN)/python -m benchmarks cog
	$(BIN)/python -m benchmarks zarr
	$(BIN)/python -m benchmarks netcdf

samples: .venv/dev ## make sample_data/ again
	$(BIN)/python sample_data/make.py

lock: .venv/core ## resolve requirements/ again from pyproject.toml (add UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --all-extras --no-annotate --constraints requirements/dev.txt --output-file requirements/run.txt
	$(COMPILE) pyproject.toml --no-annotate --constraints requirements/dev.txt --output-file requirements/core.txt
	$(COMPILE) requirements/build.in --no-annotate --constraints requirements/dev.txt --output-file requirements/build.txt

# Everything is pinned and checked by hash, the tools that build the package included.
.venv/bin/uv: requirements/build.txt
	@test -n '$(PYTHON)' || { \
		echo 'earthcode-pack needs Python 3.12 or newer, and there is none on the path nor in the versions of pyenv.'; \
		echo 'Install one (Debian: apt install python3 python3-venv; anywhere: pyenv install 3.13), or name it:'; \
		echo '  make PYTHON=/path/to/python3 $(MAKECMDGOALS)'; exit 2; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || \
		{ echo 'earthcode-pack needs Python 3.12 or newer, and $(PYTHON) is older' >&2; exit 2; }
	@echo 'Making .venv with $(PYTHON)'
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/build.txt; \
	else \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt; \
	fi
	@touch $@

.venv/core: .venv/bin/uv requirements/core.txt pyproject.toml
	@echo 'Installing the package and its libraries into .venv'
	@$(INSTALL) --require-hashes -r requirements/core.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/core requirements/dev.txt
	@echo 'Installing the extras, and what the tests need, into .venv'
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
