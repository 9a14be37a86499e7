# What a newcomer and the machine of continuous integration both run.
VENV := .venv
BASELINES := .venv-baselines
INSTALLED := $(VENV)/.installed

.PHONY: help install demo test lint docs baselines constraints clean

help:
	@echo "make install      set up $(VENV) with the package and the tools of its developers"
	@echo "make demo         fit the shipped data and write forecasts and a report to demo/"
	@echo "make test         run the tests"
	@echo "make lint         check style and types"
	@echo "make docs         write the API reference to docs/api/"
	@echo "make baselines    set up $(BASELINES), which the rivals of statsforecast run in"
	@echo "make constraints  write the versions installed in $(VENV) to constraints.txt"
	@echo "make clean        remove $(VENV), caches, demo/ and docs/api/"

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

docs: install
	$(VENV)/bin/pdoc --docformat numpy --output-directory docs/api bayes_hfgrowth \
	  bayes_hfgrowth.comparison bayes_hfgrowth.diagnostics bayes_hfgrowth.figures \
	  bayes_hfgrowth.growth

# statsforecast wants an older pandas than the package does.
baselines: $(BASELINES)/.installed

$(BASELINES)/.installed: constraints-baselines.txt
	@python=$$(sh .ci/find-python) && "$$python" -m venv --clear $(BASELINES)
	@$(BASELINES)/bin/python -m pip install -qq --disable-pip-version-check \
	  --requirement constraints-baselines.txt
	@touch $@

# Run it in a fresh $(VENV), so that nothing foreign is pinned.
constraints: install
	@{ echo "# Versions that the tests passed with; made by 'make constraints'."; \
	   $(VENV)/bin/python -m pip freeze --disable-pip-version-check --exclude-editable; \
	} > constraints.txt

clean:
	rm -rf $(VENV) $(BASELINES) .hypothesis .mypy_cache .pytest_cache .ruff_cache build demo dist docs/api
