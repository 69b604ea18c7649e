# Every target makes what it needs: a virtual environment in .venv from $(PYTHON), and the packages of one extra.
# The stamp files in .venv say what is installed; a change of pyproject.toml installs again.

PYTHON ?= python3
VENV := .venv
# One BLAS thread, for every target: two test workers, or a benchmark, must not fight over the cores.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
RUN := $(BIN)/python

# The newest Python that the library is tried on, with the newest NumPy and SciPy, in an environment of its own.
NEWEST ?= python3.13
VENV_NEWEST := .venv-newest
RUN_NEWEST := $(BIN:$(VENV)/%=$(VENV_NEWEST)/%)/python
# What new ones change first: promotion, the functions there are, what they return and refuse, how objects live, print,
# pickle and are interrupted.  Not what needs any other library, which is not installed there.
NEWEST_TESTS := dualad reversead shared tests/core tests/rules tests/implicit tests/test_conventions.py \
	$(addprefix tests/test_,special_values.py memory.py threads.py scipy_calls.py scipy_coverage.py) \
	tests/batching/test_batching.py tests/programs/test_program_pickling.py \
	$(addprefix tests/engines/test_,dual.py tape.py exceptions.py locks.py) \
	$(addprefix tests/engines/test_interrupts.py::test_,want_of_memory_leaves_nothing_behind \
		interrupts_come_where_the_places_are) \
	$(addprefix --ignore=tests/,core/test_foreign.py rules/test_array_api.py rules/test_scipy_special.py)
ASV := $(BIN)/asv
ASV_CONFIG := --config benchmarks/asv.conf.json

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@echo "make compare      both engines on the handwritten digits: a table and a picture (ARGS=--help for its options)"
	@echo "make test         the tests (ARGS='-k name' and any other pytest option)"
	@echo "make test-newest  a part of them on Python 3.13 with the newest NumPy and SciPy (NEWEST=... names another interpreter)"
	@echo "make lint         ruff: the format and the rules"
	@echo "make format       ruff: put the files into the format"
	@echo "make typecheck    mypy, strict, on the three packages"
	@echo "make bench        the asv suite on the last commit (make bench-quick: a dry run that saves nothing)"
	@echo "make site         the asv suite as a site in .asv/html, with a page in front that leads through it"
	@echo "make figures      the pictures of the pages and lectures anew"
	@echo "make docs         the pages, the lectures and the reference from the docstrings as a site in build/site"
	@echo "make clean        remove .venv, .venv-newest, .asv and the caches"
	@echo "PYTHON=python3.12 make ... picks the interpreter that .venv is made from (3.11 or later)"

.PHONY: compare
compare: $(VENV)/.installed-bench
	$(RUN) -m benchmarks $(ARGS)

.PHONY: test
test: $(VENV)/.installed-test
	$(RUN) -m pytest -n 2 $(ARGS)

.PHONY: test-newest
test-newest: $(VENV_NEWEST)/.installed
	$(RUN_NEWEST) -m pytest -n 2 $(NEWEST_TESTS) $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

.PHONY: format
format: $(VENV)/.installed-dev
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

.PHONY: typecheck
typecheck: $(VENV)/.installed-dev
	$(RUN) -m mypy
	$(RUN) -m mypy tests/calling/test_engine_interface.py

.PHONY: bench
bench: $(VENV)/.installed-bench
	@case " $(ARGS) " in *" --quick "* | *" -q "*) \
		echo "make bench saves what it measures, and a quick run is not worth saving: make bench-quick" >&2; exit 2;; esac
	@echo "about twenty minutes on an idle core; the results are saved below .asv/results"
	$(ASV) machine $(ASV_CONFIG) --yes
	$(ASV) run $(ASV_CONFIG) --launch-method forkserver --show-stderr 'HEAD^!' $(ARGS)

.PHONY: docs
docs: $(VENV)/.installed-docs
	$(RUN) docs/site/build.py $(ARGS)

# What was measured is kept, what is missing is measured; the front page leads to asv's plots with their axes set. The
# JavaScript of these is loaded once, from the addresses in asv's page or by npm, and stays in .asv/javascript.
.PHONY: site
site: $(VENV)/.installed-bench
	@echo "measuring what is missing of the last commit: about twenty minutes where nothing is there"
	$(ASV) machine $(ASV_CONFIG) --yes
	$(ASV) run $(ASV_CONFIG) --launch-method forkserver --show-stderr --skip-existing-successful 'HEAD^!' || \
		{ test $$? -eq 2 && echo "some benchmarks failed: their points are missing until make site is called again" >&2; }
	$(ASV) publish $(ASV_CONFIG)
	$(RUN) -m benchmarks.site
	@echo "open that file in a browser: it needs neither a network nor a server"

# A quick run must not be saved: with --set-commit-hash it would overwrite good results.
.PHONY: bench-quick
bench-quick: $(VENV)/.installed-bench
	$(ASV) machine $(ASV_CONFIG) --yes --machine ci
	$(ASV) check $(ASV_CONFIG)
	BENCHMARKS_QUICK=1 $(ASV) run $(ASV_CONFIG) --quick --dry-run --launch-method forkserver --machine ci --show-stderr 'HEAD^!' $(ARGS)

.PHONY: figures
figures: $(VENV)/.installed-test
	$(RUN) -B -m docs.graphs.draw
	$(RUN) -B -m docs.lectures.draw

.PHONY: clean
clean:
	rm -rf $(VENV) $(VENV_NEWEST) .asv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist gradient-cost.png gradient-cost.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is Python %d.%d; give a newer one, as in: make PYTHON=python3.12 test (3.11 or later)" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed-%: pyproject.toml $(VENV)/.made
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

# Not the project itself, which is found in the working directory, nor its extras: what is newest of these.
$(VENV_NEWEST)/.installed: pyproject.toml
	$(NEWEST) -m venv --clear $(VENV_NEWEST)
	$(RUN_NEWEST) -m pip install --quiet --disable-pip-version-check numpy scipy pytest pytest-xdist hypothesis
	touch $@
