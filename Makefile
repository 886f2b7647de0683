# make lab    set up and open JupyterLab on the first notebook
# make app    set up and show the walkers as pages without code, for a lecture
# make test   set up and run every test
# make site   set up and make the web pages of it all
# make slides set up and make the slides of each session of the course
# make assignments  set up and make the notebooks for nbgrader
# make bench  set up and measure the walks beside the published algorithm
# make tweaks set up and run the notebooks with every value of their menus
# make coverage  set up, run every test and say which lines none of them runs
# make lint   set up and check style, types and the order of imports

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadgroup
VOILA := .venv/voila
# more options for JupyterLab and for Voila, such as --no-browser
LAB :=
APP :=

.DEFAULT_GOAL := help
.PHONY: help install lab app voila test coverage tweaks fresh bench lint notebooks site slides assignments clean

help:
	@echo "make lab        set up, then open JupyterLab on the first notebook"
	@echo "make app        set up, then show the walkers as pages without code, for a lecture"
	@echo "make test       set up, then run all tests"
	@echo "make coverage   set up, then run all tests and say which lines none of them runs"
	@echo "make tweaks     set up, then run the notebooks with every value of their menus; takes an hour"
	@echo "make bench      set up, then measure walks beside the published algorithm, on a quiet machine"
	@echo "make install    set up only: .venv with everything in it"
	@echo "make notebooks  set up, then run every notebook from a clean kernel, and store its outputs and widgets"
	@echo "make site       set up, then make web pages of notebooks and documents: site/index.html"
	@echo "make slides     set up, then make the slides of each session of the course: build/slides"
	@echo "make assignments  set up, then make a course directory for nbgrader: build/nbgrader"
	@echo "make fresh      set up, then install environment.yml's list and the wheel, each in a new environment, and try them; takes minutes"
	@echo "make lint       set up, then check style, types and the order of imports"
	@echo "make clean      remove what these made"

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing; installing it needs: apt-get install python3-venv"; \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

lab: $(READY)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB) notebooks/01_geometry__what_a_function_cannot_see.ipynb

voila: $(VOILA)

$(VOILA): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,voila]"
	@touch $@

# Without the first option Voila loads an extension that needs all of Notebook 7, without the last two it keeps the kernels
# of pages that were left. The plain list, which needs no script, has no errors.
app: $(VOILA)
	OMP_NUM_THREADS=1 $(BIN)/voila apps --VoilaConfiguration.extension_denylist=@jupyter-notebook/lab-extension --classic-tree \
	  --MappingKernelManager.cull_idle_timeout=120 --MappingKernelManager.cull_interval=30 $(APP)

test: $(READY) browser lint
	$(TESTS)

coverage: $(READY) browser
	$(TESTS) --cov --cov-report term-missing

tweaks: $(READY)
	TWEAKS=all OMP_NUM_THREADS=1 $(BIN)/pytest tests/notebooks/test_tweaks.py --numprocesses 2 -rP

bench: $(READY)
	$(BIN)/python -m tests.benchmarks.walks
	$(BIN)/python -m tests.benchmarks.curves
	$(BIN)/python -m tests.benchmarks.parameters
	$(BIN)/python -m tests.benchmarks.alignment
	$(BIN)/python -m tests.benchmarks.sweep

notebooks: $(READY)
	$(BIN)/python -m notebooks.execute
	$(BIN)/python -m notebooks.record

site: $(READY)
	rm -rf build/site site
	$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/site/doctrees . build/site/html
	mv build/site/html site

slides: $(READY)
	$(BIN)/python -m notebooks.slides

assignments: $(READY)
	$(BIN)/python -m notebooks.assignments

fresh: $(READY)
	FRESH_INSTALL=1 $(BIN)/pytest tests/fresh

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The widgets' tests drive a real Chromium. Without one, and without the right to install one, they skip and say so.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing Chromium for the widgets' tests" \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || true

clean:
	rm -rf .venv build dist site *.egg-info .coverage .*_cache .hypothesis
