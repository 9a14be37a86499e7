# What a newcomer and the machine of continuous integration both run.
VENV := .venv
BASELINES := .venv-baselines
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs
APP_INSTALLED := $(VENV)/.installed-app
SPACE := build/space
# Notebooks in the documentation: on runs them in their small mode, off shows what is stored in them.
NOTEBOOKS := on

.PHONY: help install demo test lint hooks docs app app-install space baselines constraints clean

help:
	@echo "make install      set up $(VENV) with the package and the tools of its developers"
	@echo "make demo         fit the shipped data and write forecasts and a report to demo/"
	@echo "make test         run the tests"
	@echo "make lint         check style and types"
	@echo "make hooks        run the checks of a commit over all files"
	@echo "make docs         write the documentation to docs/_build/site/ (NOTEBOOKS=off: run no notebook)"
	@echo "make app          start the app in a browser (make app-install: only set it up)"
	@echo "make space        put the app and the package into build/space/, to upload as a Space"
	@echo "make baselines    set up $(BASELINES), which the rivals of statsforecast run in"
	@echo "make constraints  write the versions installed in $(VENV) to constraints.txt"
	@echo "make clean        remove $(VENV), caches, demo/ and the documentation"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@sh .ci/find-python $(VENV)/bin/python >/dev/null 2>&1 \
	  && $(VENV)/bin/python -m pip --version >/dev/null 2>&1 \
	  || { python=$$(sh .ci/find-python) && "$$python" -m venv --clear $(VENV); }
	@echo "installing into $(VENV); the first time takes some minutes"
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	$(VENV)/bin/hfgrowth demo --out demo

# Files in their order: the slow ones have few tests and would come last, on one core.
test: install
	$(VENV)/bin/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: install
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache --no-logo

hooks: install
	$(VENV)/bin/pre-commit run --all-files

# Warnings are errors. The root of the repository is the source, so links between its pages hold
# in the repository and on the site alike.
docs: $(DOCS_INSTALLED)
	NOTEBOOKS=$(NOTEBOOKS) $(VENV)/bin/sphinx-build --fail-on-warning --keep-going --quiet \
	  --conf-dir docs --doctree-dir docs/_build/doctrees . docs/_build/site
	@echo "open docs/_build/site/index.html"

$(DOCS_INSTALLED): $(INSTALLED)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[docs]'
	@touch $@

app: $(APP_INSTALLED)
	$(VENV)/bin/python app/app.py

app-install: $(APP_INSTALLED)

$(APP_INSTALLED): $(INSTALLED)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[app]'
	@touch $@

# A Space is a folder: what it runs stands in it, growth models where a wheel has them.
space:
	rm -rf $(SPACE)
	mkdir -p $(SPACE)
	cp app/*.* $(SPACE)
	cp -R bayes_hfgrowth $(SPACE)
	cp -R models $(SPACE)/bayes_hfgrowth
	find $(SPACE) -name __pycache__ -prune -exec rm -rf {} +

# statsforecast wants an older pandas than the package does.
baselines: $(BASELINES)/.installed

$(BASELINES)/.installed: constraints-baselines.txt
	@python=$$(sh .ci/find-python) && "$$python" -m venv --clear $(BASELINES)
	@$(BASELINES)/bin/python -m pip install -qq --disable-pip-version-check \
	  --requirement constraints-baselines.txt
	@touch $@

# Run it in a fresh $(VENV), so that nothing foreign is pinned.
constraints: $(DOCS_INSTALLED) $(APP_INSTALLED)
	@{ echo "# Versions that the tests passed with; made by 'make constraints'."; \
	   $(VENV)/bin/python -m pip freeze --disable-pip-version-check --exclude-editable; \
	} > constraints.txt

clean:
	rm -rf $(VENV) $(BASELINES) .hypothesis .mypy_cache .pytest_cache .ruff_cache build demo dist \
	  docs/_build docs/api
