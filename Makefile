# `make tabular` and `make test` need Python 3.10 or later and make, and set up the rest by
# themselves, in .venv. `make help` lists what else there is.

PYTHON ?= python3
# The Python of `make test-oldest`: one that the oldest supported versions still have wheels for.
PYTHON_OLDEST ?= python3.10
# That of `make test-newest`: a newer one gets newer versions.
PYTHON_NEWEST ?= $(PYTHON)
# More options for the job, as in `make tabular ARGS=--download`.
ARGS ?=
# How many cases `make fuzz` draws.
N ?= 10000
# Processes that run at a time. Each gets one thread: two that fight over a core are ten times
# slower than one.
JOBS ?= 2
export OMP_NUM_THREADS ?= 1

VENV := .venv
VENV_OLDEST := .venv-oldest
VENV_NEWEST := .venv-newest
PIP_FLAGS := --quiet --disable-pip-version-check

# The extras of pyproject.toml that each job needs.
EXTRAS_tabular := benchmarks
EXTRAS_benchmarks := benchmarks,peers,vision
EXTRAS_test := benchmarks,peers,plot,test,vision
EXTRAS_docs := benchmarks,docs
EXTRAS_dist := dist

# `benchmarks` is a folder too.
.PHONY: tabular benchmarks test test-quick test-machines test-oldest test-newest fuzz docs dist changes format clean \
  help
.NOTPARALLEL:
.DELETE_ON_ERROR:

tabular: $(VENV)/.installed-tabular  ## the paper's UCI tables, ERM beside mixup; into results/
	$(VENV)/bin/python -m benchmarks tabular --scale small --jobs $(JOBS) --out results $(ARGS)

benchmarks: $(VENV)/.installed-benchmarks  ## all of the paper, hours of work; into results/report.html
	$(VENV)/bin/python -m benchmarks all --scale small --jobs $(JOBS) --out results $(ARGS)

test: $(VENV)/.installed-test  ## everything that has to pass before a commit
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --quiet -n $(JOBS) --dist worksteal $(ARGS)
	$(VENV)/bin/python -m tests.machines --quick --jobs $(JOBS)

# The mathematics, scikit-learn's checks of the defaults, and the examples of all docstrings, which
# fit one of everything.
QUICK := sklearn_mixup $(patsubst %,tests/test_%.py,architecture augment augmentation classifier \
	gan_skorch minibatches modules pairs robustness sklearn_contract vicinal vicinities)

test-quick: $(VENV)/.installed-test  ## the heart of it, in a minute; not enough before a commit
	$(VENV)/bin/ruff check
	$(VENV)/bin/pytest --quiet -n $(JOBS) --dist worksteal -m "not slow" $(QUICK) $(ARGS)

# 80 seconds of one core for each environment.
test-machines: $(VENV)/.installed-test  ## the contract and equivalences as other processors compute
	$(VENV)/bin/python -m tests.machines --jobs $(JOBS) $(ARGS)

# One half of the cases must not be refused; the others may be, in our words.
fuzz: $(VENV)/.installed-test  ## N=10000 cases that nobody has tried, of every estimator, and files
	SKLEARN_MIXUP_FUZZ=$(N) $(VENV)/bin/pytest --quiet -n $(JOBS) tests/test_properties.py \
	  tests/test_saving_refused.py::test_no_mutation_runs_code_hangs_or_takes_much_memory $(ARGS)

docs: $(VENV)/.installed-docs  ## the documentation; into docs/_build/html/
	$(VENV)/bin/sphinx-build -W --keep-going -n -E -q -b html docs docs/_build/html

# The files are tried in an environment of their own, which takes torch once more.
dist: $(VENV)/.installed-dist  ## wheel and source distribution, tried where nothing else is; into dist/
	rm -rf build dist
	$(VENV)/bin/python -m build --outdir dist > /dev/null
	$(VENV)/bin/python -m twine check --strict dist/*
	$(VENV)/bin/python -m tests.dist dist/*

changes: $(VENV)/.installed-dist  ## what docs/changes.d would say in the notes of the next release
	$(VENV)/bin/towncrier build --draft --version next

# Old versions warn of each other, so warnings are no errors here.
test-oldest: $(VENV_OLDEST)/.installed-test  ## the tests on the oldest versions that we claim
	$(VENV_OLDEST)/bin/python -m pytest --quiet -n $(JOBS) --dist worksteal -W default $(ARGS)

# What is newest changes, so it is looked for each time. Warnings are no errors here either.
test-newest:  ## the tests on the newest versions of all, pre-releases included
	test -x $(VENV_NEWEST)/bin/python || $(PYTHON_NEWEST) -m venv $(VENV_NEWEST)
	$(VENV_NEWEST)/bin/python -m pip install $(PIP_FLAGS) --pre --upgrade --upgrade-strategy eager \
	  -e ".[$(EXTRAS_test)]"
	$(VENV_NEWEST)/bin/python -m pytest --quiet -n $(JOBS) --dist worksteal -W default $(ARGS)

format: $(VENV)/.installed-test  ## mend the layout of the code, and what else ruff can mend
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

clean:  ## remove the environments and all that was built, but not results/
	rm -rf $(VENV) $(VENV_OLDEST) $(VENV_NEWEST) docs/_build docs/gallery docs/generated build dist *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find sklearn_mixup benchmarks tests docs -name __pycache__ -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

# The stamps are the memory of what is installed: a second make installs nothing.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@echo "Installing [$(EXTRAS_$*)] into $(VENV); the first time takes a minute or more."
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) -c constraints.txt -e ".[$(EXTRAS_$*)]"
	touch $@

# Every lower bound of pyproject.toml as an exact version, so that the two cannot differ.
define OLDEST_PINS
import tomli
from packaging.requirements import Requirement

project = tomli.load(open("pyproject.toml", "rb"))["project"]
extras = "$(EXTRAS_test)".split(",")
texts = sum((project["optional-dependencies"][extra] for extra in extras), project["dependencies"])
for requirement in map(Requirement, texts):
    (bound,) = (part.version for part in requirement.specifier if part.operator == ">=")
    print(f"{requirement.name}=={bound}")
endef
export OLDEST_PINS

$(VENV_OLDEST)/.installed-test: pyproject.toml
	test -x $(VENV_OLDEST)/bin/python || $(PYTHON_OLDEST) -m venv $(VENV_OLDEST)
	$(VENV_OLDEST)/bin/python -m pip install $(PIP_FLAGS) packaging tomli
	$(VENV_OLDEST)/bin/python -c "$$OLDEST_PINS" | sort -u > $(VENV_OLDEST)/pins.txt
	$(VENV_OLDEST)/bin/python -m pip install $(PIP_FLAGS) -c $(VENV_OLDEST)/pins.txt -e ".[$(EXTRAS_test)]"
	touch $@
