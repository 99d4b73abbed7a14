# Every target does its own set-up, on a machine that has only Python >= 3.11 and apt-get.
#   make decode   install, simulate a subject, decode it, print the path of the report
#   make listen   install, simulate a listener, decode what was heard, print the path of the report
#   make demo     both of these, unless they are there, and then see and hear them in a browser
#   make test     install, check, run every test
#   make fuzz     damaged inputs of every kind that is read; KIND=own-h5 COUNT=300 SEED=1
#   make docs     the site, _build/docs/index.html: pages, reference, and a gallery whose examples are run
#   make wheel    the wheel, its size, and its trial in an empty environment
#   make space    the folder of a public demo on a Hugging Face Space, _build/space
#   make test-lowest   the core of the tests with the oldest releases that pyproject.toml admits
#   make test-newest   the same with the newest
#   make test-processors   the numeric tests as on other processors, as far as this one can show them
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

NEW := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$p -c '$(NEW)' 2>/dev/null && echo $$p && exit; done; echo python3)
DATA ?= data/simulated
RUN ?= runs/first
RECIPE ?= bayes-miniature
SOUND_DATA ?= data/listener
SOUND_RUN ?= runs/listen
SOUND_RECIPE ?= bayes-sound-miniature
APP ?=
KIND ?=
COUNT ?= 300
SEED ?= 1

VENV := .venv
OPENCLIP := .venv-openclip
LOWEST := .venv-lowest
NEWEST := .venv-newest
ROOMS := app brain decode encoders evaluation pipelines
PINS := constraints/tested.txt
OPENCLIP_TESTS := [test,openclip,perceptual]
PACKAGES := import sysconfig; print(sysconfig.get_path("purelib"))
# Two processes of one thread each take half the time of one with two; a file stays with one of them.
WORKERS ?= 2
PYTEST := -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

# Nothing here ever needs the network after installation; two threads are what the smallest machine has.
export HF_HUB_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DIFFUSERS_DISABLE_REMOTE_CODE := 1
export GRADIO_ANALYTICS_ENABLED := False
export TOKENIZERS_PARALLELISM := false
export MPLBACKEND := Agg

# Debian leaves ensurepip out of python3; python3-venv brings it.
%/bin/pip:
	rm -rf $*
	@$(PYTHON) -c '$(NEW)' || { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 2; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  sudo=; [ "$$(id -u)" -eq 0 ] || sudo=sudo; \
	  version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  $$sudo apt-get update -q; \
	  $$sudo apt-get install -q -y "python$$version-venv" || $$sudo apt-get install -q -y python3-venv; \
	fi
	@echo "installing into $* (a few minutes the first time)"
	$(PYTHON) -m venv $*
.PRECIOUS: %/bin/pip

# $(call install,folder,extras): the project with its tested set, then everything of ours compiled, because
# PYTHONDONTWRITEBYTECODE may be set and would make every later start pay for it.
define install
	$(1)/bin/python -m pip install --disable-pip-version-check --constraint $(PINS) --editable ".$(2)"
	$(1)/bin/python -m compileall -q $(ROOMS)
	@touch $@
endef

$(VENV)/.core: pyproject.toml $(PINS) | $(VENV)/bin/pip
	$(call install,$(VENV),)

$(VENV)/.app: pyproject.toml $(PINS) | $(VENV)/.core
	$(call install,$(VENV),[app])

$(VENV)/.docs: pyproject.toml $(PINS) | $(VENV)/.core
	$(call install,$(VENV),[docs])

$(VENV)/.dev: pyproject.toml $(PINS) | $(VENV)/.core
	$(call install,$(VENV),[dev])

# It reads what the first environment holds and adds only what must not stand there.
$(OPENCLIP)/.done: pyproject.toml $(PINS) $(VENV)/.dev | $(OPENCLIP)/bin/pip
	first=$$($(VENV)/bin/python -c '$(PACKAGES)'); own=$$($(OPENCLIP)/bin/python -c '$(PACKAGES)'); \
	  echo "$$first" > "$$own/first.pth"
	$(call install,$(OPENCLIP),$(OPENCLIP_TESTS))

# The demo is tested in Debian's chromium; where there is none to be had, these tests are skipped and say so.
$(VENV)/.browser: | $(VENV)/bin/pip
	@if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then \
	  sudo=; [ "$$(id -u)" -eq 0 ] || sudo=sudo; \
	  { $$sudo apt-get update -q && $$sudo apt-get install -q -y --no-install-recommends chromium chromium-driver; } \
	    || echo "chromium and chromium-driver could not be installed: the demo's tests in a browser will be skipped"; \
	fi
	@touch $@

.PHONY: help install decode listen demo test docs wheel space fuzz test-lowest test-newest test-processors lint bench clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(VENV)/.core

decode: install
	@$(VENV)/bin/afterimage simulate $(DATA)
	@$(VENV)/bin/afterimage study $(DATA) --recipe $(RECIPE) --out $(RUN)

listen: install
	@$(VENV)/bin/afterimage simulate $(SOUND_DATA) --modality sound
	@$(VENV)/bin/afterimage study $(SOUND_DATA) --recipe $(SOUND_RECIPE) --out $(SOUND_RUN)

demo: $(VENV)/.app
	@echo "1 of 3: pictures, a few minutes the first time"; $(MAKE) --no-print-directory decode
	@echo "2 of 3: sounds, a few minutes the first time"; $(MAKE) --no-print-directory listen
	@echo "3 of 3: the demo"; $(VENV)/bin/afterimage app $(RUN) $(SOUND_RUN) $(APP)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The tests of open_clip need torchvision, which must not stand beside the others: an environment of their own, which
# is installed beside the checks.
test: $(VENV)/.dev
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint $(VENV)/.browser $(OPENCLIP)/.done
	OMP_NUM_THREADS=1 $(VENV)/bin/python $(PYTEST) --ignore=tests/openclip
	OMP_NUM_THREADS=1 $(OPENCLIP)/bin/python $(PYTEST) tests/openclip tests/test_encoders_spaces.py \
	  "tests/test_same_bits.py::test_a_condition_has_the_same_bits_in_any_memory_and_company[openclip-image]" \
	  "tests/test_same_bits.py::test_a_tower_s_features_have_the_same_bits_in_any_memory[openclip-image]"
	$(VENV)/bin/python tests/processors.py --short

# What a release of somebody else's can break, without the long studies.
CORE := brain_arrays brain_bdata brain_nsd brain_series brain_mindvis brain_tensors brain_tables brain_matlab \
  brain_sounds brain_waveforms brain_splits simulated_scenes simulated_sound_data encoders_ridge encoders_mapping \
  encoders_mappings encoders_spaces encoders_sound_spaces encoders_mel encoders_training pipelines_sampler \
  pipelines_drawing pipelines_sound pipelines_sound_generators pipelines_stacks pipelines_synthesis \
  evaluation_metrics evaluation_score evaluation_report evaluation_judges evaluation_sounds decode_study \
  decode_sound app_cli app_flags
CORE_TESTS = OMP_NUM_THREADS=1 $(1)/bin/python $(PYTEST) $(2) $(CORE:%=tests/test_%.py)

$(LOWEST)/.done: pyproject.toml tests/floors.py $(PINS) | $(LOWEST)/bin/pip
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check packaging
	$(LOWEST)/bin/python tests/floors.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --constraint $(LOWEST)/lowest.txt --editable ".[app,test]"
	@touch $@

# Always asked anew, for what is newest changes; torch stays, for its newest is a CUDA build of gigabytes.
.PHONY: $(NEWEST)/.done
$(NEWEST)/.done: pyproject.toml | $(NEWEST)/bin/pip
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check packaging
	$(NEWEST)/bin/python tests/floors.py torch > $(NEWEST)/torch.txt
	$(NEWEST)/bin/python -m pip install --disable-pip-version-check --upgrade --upgrade-strategy eager \
	  --constraint $(NEWEST)/torch.txt --editable ".[app,test]"

# Old releases warn of the deprecations of newer ones that stand beside them, which is no fault of theirs or ours.
test-lowest: $(LOWEST)/.done
	$(call CORE_TESTS,$(LOWEST),-W default::DeprecationWarning)

test-newest: $(NEWEST)/.done
	$(call CORE_TESTS,$(NEWEST),)

test-processors: $(VENV)/.dev
	$(VENV)/bin/python tests/processors.py

# Warnings are errors, broken links among them; the examples of the gallery are run anew, in a folder of their own.
docs: $(VENV)/.docs
	rm -rf _build/examples docs/gallery
	$(VENV)/bin/sphinx-build -W --keep-going -b html docs _build/docs
	$(VENV)/bin/python tests/foreign_addresses.py _build/docs
	@echo "_build/docs/index.html"

# Into an environment that has nothing, with all it needs, and tried in a folder far from this one; the tests try the
# same wheel on what is installed already.
wheel:
	rm -rf build dist/*.whl _build/wheel
	$(MAKE) --no-print-directory _build/wheel/bin/pip
	_build/wheel/bin/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .
	_build/wheel/bin/python -m pip install --disable-pip-version-check --constraint $(PINS) dist/*.whl
	place=$$(mktemp -d); _build/wheel/bin/python tests/wheel.py dist/*.whl _build/wheel/bin "$$place"; rm -rf "$$place"

# What is in it is tried by tests/test_space.py; app/space/README.md says how it gets to where it is shown.
space: | $(VENV)/bin/pip
	rm -rf build _build/space
	$(VENV)/bin/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir _build/space .
	cp app/space/app.py app/space/README.md app/space/requirements.txt _build/space/
	@echo "_build/space"

fuzz: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.fuzz.run $(KIND) --count $(COUNT) --seed $(SEED)

bench: $(VENV)/.dev
	$(VENV)/bin/python -m benchmarks.help_time
	$(VENV)/bin/python -m benchmarks.statistics
	$(VENV)/bin/python -m benchmarks.synthesis_cost
	$(VENV)/bin/python -m benchmarks.masked_modelling
	$(VENV)/bin/python -m benchmarks.demo

clean:
	rm -rf $(VENV) $(OPENCLIP) $(LOWEST) $(NEWEST) _build build dist docs/gallery docs/reference/api docs/reference/commands.md *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(ROOMS) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
