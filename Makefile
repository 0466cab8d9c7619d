# Every target is what CI runs, nothing more. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
PIP := $(PY) -m pip install -q --require-hashes
T ?= tests
ARGS ?=
# One process a core: with more, tests that look at pages wait too long on a busy machine.
SPREAD := -n $(shell nproc 2>/dev/null || echo 2)
WHEN ?= pre
CLOUD ?=
STACK ?=

# A stamp carries the checksum of what it was made from: set-up that is done costs nothing, and a changed lock does it again.
sum = $(shell cat $(1) | cksum | cut -d' ' -f1)
RUN_READY := .venv/.ready-run-$(call sum,requirements.lock)
DEV_READY := .venv/.ready-dev-$(call sum,requirements-dev.lock)
TALKOOT_READY := .venv/.ready-talkoot-$(call sum,pyproject.toml)
CLOUD_READY := $(if $(CLOUD),.venv/.ready-$(CLOUD)-$(call sum,requirements-$(CLOUD).lock))
SCRIPTS_READY := control/web/vendor/.ready-$(call sum,package-lock.json .ci/browser-scripts)

.PHONY: help setup run test unit check fix journey stacks bench migration preview policy lock

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -nE 's/^([a-z]+):.*## (.*)/  make \1  \2/p' Makefile

setup: $(RUN_READY) $(TALKOOT_READY) $(SCRIPTS_READY) $(CLOUD_READY) ## make .venv with `talkoot` in it, fetch the browser scripts (CLOUD=aws: what the stacks need, too)
	@:

run: setup ## set up, start everything on this machine and run the main job (ARGS=--exit leaves when it is done)
	@$(PY) examples/run.py $(ARGS)

test: setup $(DEV_READY) ## every suite against real parts (T=path for a part, ARGS=-x and the like for pytest)
	@$(PY) -m pytest $(if $(filter tests,$(T)),$(SPREAD)) $(T) $(ARGS)

unit: setup $(DEV_READY) ## the unit tests only, the ones to keep running
	@$(PY) -m pytest tests/unit $(ARGS)

check: setup $(DEV_READY) ## format, lint, types, imports, house; changes nothing
	@echo "ruff: lint"; $(PY) -m ruff check -q .
	@echo "ruff: format"; $(PY) -m ruff format -q --check .
	@echo "basedpyright: types"; .venv/bin/basedpyright --level error
	@echo "import-linter: who may import whom"; .venv/bin/lint-imports
	@echo "house rules"; $(PY) -m pytest tests/unit/test_house.py

fix: setup $(DEV_READY) ## mend what a machine can mend
	@$(PY) -m ruff check -q --fix . || true
	@$(PY) -m ruff format -q .

journey: setup $(DEV_READY) ## whole journeys with a container engine
	@$(PY) -m pytest tests/journey $(ARGS)

stacks: setup $(DEV_READY) ## the cloud stacks through the real Pulumi engine, in a fake account
	@$(PY) -m pytest $(SPREAD) tests/stacks tests/engines/test_pulumi.py tests/engines/test_aws_world.py $(ARGS)

bench: setup $(DEV_READY) ## our numbers beside the peers', in one run (ARGS chooses)
	@$(PY) -m benchmarks $(ARGS)

preview: ## what `pulumi up` would change (STACK=prod-aws-eu-west-1-base); changes nothing
	@pulumi preview --stack "$(STACK)"

policy: ## check a preview against the rules of stacks/policy (STACK=prod-aws-eu-west-1-base)
	@pulumi preview --json --show-sames --non-interactive --stack "$(STACK)" | $(PY) -m stacks.policy -

migration: setup ## the next database migration (NAME=add_colour, WHEN=pre or post the new code)
	@.ci/migration "$(WHEN)" "$(NAME)"

lock: setup $(DEV_READY) ## write the lock files again from pyproject.toml and package.json (ARGS=--upgrade for newer versions)
	@.ci/lock $(ARGS)

.venv/bin/python:
	@.ci/environment

$(RUN_READY): | .venv/bin/python
	@echo "Setting up: Python packages"
	@.ci/environment
	@$(PIP) -r requirements.lock
	@rm -f .venv/.ready-run-*; touch $@

$(CLOUD_READY): | $(RUN_READY)
	@echo "Setting up: Python packages for $(CLOUD)"
	@$(PIP) -r requirements-$(CLOUD).lock
	@rm -f .venv/.ready-$(CLOUD)-*; touch $@

$(DEV_READY): | $(RUN_READY)
	@echo "Setting up: Python packages for tests and checks"
	@$(PIP) -r requirements-dev.lock
	@rm -f .venv/.ready-dev-*; touch $@

$(TALKOOT_READY): | $(RUN_READY)
	@$(PY) -m pip install -q --no-deps --no-build-isolation -e .
	@rm -f .venv/.ready-talkoot-*; touch $@

$(SCRIPTS_READY): | $(RUN_READY)
	@.ci/browser-scripts
	@touch $@
