# `make` alone lists the targets.
#
# Everything runs in .venv, which is made from requirements/dev.txt (hash-pinned). Once it and the
# control plane are there, nothing below needs the network, but for `lock` and `image`, and the tests
# when the packages of the image have changed.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
CONTAINER ?= docker
IMAGE ?= licenseusage:dev
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready

# Read by `make demo` (hack/demo).
export ONCE
export LICENSE
export MODE
# Read by whatever needs a control plane (hack/controlplane); KUBEBUILDER_ASSETS is as well.
export CONTROLPLANE_VERSION
# The venv decides what is imported, not the shell that make was called from.
unexport PYTHONPATH
unexport PYTHONHOME
unexport PYTHONSTARTUP
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@echo 'make TARGET          (variables in brackets are optional)'
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)$$/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'
	@echo
	@echo 'Needed: Python >= 3.11, make, and the network for the first run. Go >= 1.26 only where the'
	@echo 'prebuilt control plane cannot be fetched (it is then built once, in 8 to 16 minutes), and for the'
	@echo 'tests of event logs and of the chart, unless there are nats-server >= 2.10 and helm >= 3.14, and for Gitea;'
	@echo 'redis-server >= 7 for the tests of Redis; prometheus >= 2.42 for those of alerts; node and npm for JupyterHub;'
	@echo 'postgresql >= 14 and pgbouncer >= 1.18 for those of the receiver on PostgreSQL.'

# -- see it work

.PHONY: demo
demo: $(READY) controlplane ## show the end of a cycle on this machine, without Docker [ONCE=1] [MODE=export] [LICENSE=none]
	$(BIN)/python -m hack.demo

# -- check it

# Tests of the whole operator wait most of their time, so two workers share a core. Every worker has a
# control plane of its own, and needs 1 GiB of memory.
WORKERS ?= 4

.PHONY: test
test: $(READY) controlplane nats redis postgres prometheus helm rootfs products ## run all tests, on a real Kubernetes API [ARGS="-k word"] [WORKERS=4]
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: $(READY) ## check style, types, import directions, YAML
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict crds manifests examples operator kind-config.yaml

.PHONY: fmt
fmt: $(READY) ## format the code and fix simple findings
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: generate
generate: $(READY) controlplane ## write what is generated (CRDs, manifests/install.yaml, docs/reasons.md, docs/presets.md, docs/metrics.md, docs/hostile-answers.md, tables of docs/privacy.md, what follows from the alert rules) [in pre-commit, too]
	$(BIN)/licenseusage crds --output crds
	cp crds/*.dev.yaml charts/licenseusage/crds/
	$(BIN)/licenseusage reasons > docs/reasons.md
	$(BIN)/python -m hack.stored
	$(BIN)/python -m hack.presets
	$(BIN)/python -m hack.metrics
	$(BIN)/python -m hack.monitoring
	$(BIN)/python -m tests.sources.hostile
	$(BIN)/python -m hack.install

.PHONY: bench
bench: $(READY) ## measure a collection, an event log and the forecast, beside naive ways [ARGS="--only forecast"]
	$(BIN)/python -m bench $(ARGS)

.PHONY: bench-scale
bench-scale: $(READY) controlplane ## measure processor time, requests and memory of idle objects [ARGS="--objects 300"]
	$(BIN)/python -m bench.scale $(ARGS)

.PHONY: bench-pushes
bench-pushes: $(READY) ## measure how many pushed events the intake takes on one core
	$(BIN)/python -m bench.pushes

.PHONY: bench-receiver
bench-receiver: $(READY) ## measure how many reports a receiver takes in a second, on SQLite and PostgreSQL
	$(BIN)/python -m bench.receiver $(ARGS)

.PHONY: bench-start
bench-start: $(READY) controlplane ## measure how long the operator and the command line take to start [ARGS="--times 3"]
	$(BIN)/python -m bench.start $(ARGS)

.PHONY: bench-broken
bench-broken: $(READY) controlplane ## measure the processor time of objects that wait for a person [ARGS=…]
	$(BIN)/python -m bench.broken $(ARGS)

.PHONY: bench-loop
bench-loop: $(READY) controlplane ## measure what holds up the event loop while many lists are read [ARGS="--large 200000"]
	$(BIN)/python -m bench.loop $(ARGS)

HISTORIES ?= 20000
CYCLES ?= 2000
FUZZ_SECONDS ?= 600

.PHONY: soak
soak: $(READY) ## run long property tests, fuzzing, then simulated years with faults [HISTORIES=20000] [CYCLES=2000] [ARGS="--seed S"]
	HISTORIES=$(HISTORIES) $(BIN)/pytest --hypothesis-profile=soak --timeout=0 tests/metering tests/ledger tests/sources tests/reports tests/delivery tests/kills/test_resumed.py
	$(BIN)/python -m trials.fuzz --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m trials.soak --cycles $(CYCLES) $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## fuzz what reads a product's answers, guided by coverage [FUZZ_SECONDS=600] [ARGS="--target times"]
	$(BIN)/python -m trials.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

.PHONY: months
months: $(READY) ## show which accuracy ordinary months get (the table of docs/measurement.md) [ARGS="--months 2 --only Never"]
	$(BIN)/python -m trials.months $(ARGS)

.PHONY: mutation
mutation: $(READY) ## break each rule of the number once; do the tests notice? [ARGS="facts.py --sample 50"]
	$(BIN)/python -m trials.mutation $(ARGS)

.PHONY: invariants
invariants: $(READY) ## break each invariant of docs/architecture.md on purpose; do the tests notice? [ARGS=1.]
	$(BIN)/python -m trials.invariants $(ARGS)

.PHONY: kills
kills: $(READY) controlplane ## kill the operator 200 times while cycles end; is anything lost? [ARGS="--kills N --seed S"]
	$(BIN)/python -m trials.kills $(ARGS)

.PHONY: test-products
test-products: $(READY) controlplane products ## run the tests with real products only [ARGS=…]
	$(BIN)/pytest tests/e2e $(ARGS)

# It reads E2E_CONTEXT, E2E_BUILD, E2E_LOAD and IMAGE, if the caller has set them. Commands reach it as
# they were written: make would take the $I of "$IMAGE" for a variable of its own.
ifneq ($(origin E2E_BUILD),undefined)
override export E2E_BUILD := $(value E2E_BUILD)
endif
ifneq ($(origin E2E_LOAD),undefined)
override export E2E_LOAD := $(value E2E_LOAD)
endif

.PHONY: e2e
e2e: $(READY) helm ## install, kill, upgrade, remove on the cluster of KUBECONFIG [E2E_CONTEXT=name] [IMAGE=…] [E2E_LOAD=…] [ARGS=--help]
	@$(BIN)/python -m hack.e2e $(ARGS)

# -- build it

# Of the image's base: its name (with a digest), or its root file system as a tar and that file's digest.
BASE ?=
BASE_ROOT ?=
BASE_DIGEST ?=
# URL of the repository, for the image's label; and whether a base without a digest is refused.
SOURCE ?=
RELEASE ?=
TOLD = --source '$(SOURCE)' $(if $(RELEASE),--release)

.PHONY: image
image: ## build the operator's image [CONTAINER=podman] [IMAGE=name:tag] [BASE=image@sha256:…] [RELEASE=1]
	@command -v $(CONTAINER) >/dev/null || { echo 'error: no $(CONTAINER) in PATH; make image CONTAINER=podman uses another builder, make image-archive none' >&2; exit 1; }
	@told=$$($(PYTHON) -m hack.image.arguments --base '$(BASE)' $(TOLD)); \
	  set -x; $(CONTAINER) build $$told --file operator/Dockerfile --tag $(IMAGE) .

.PHONY: image-archive
image-archive: $(READY) ## build it without a container runtime, as an OCI archive BASE_ROOT=base.tar [BASE_DIGEST=sha256:…] [IMAGE=name:tag]
	@test -n '$(BASE_ROOT)' || { echo 'error: BASE_ROOT is missing: the root file system of $(or $(BASE),the base image) as a tar archive (docs/install.md says how to get one)' >&2; exit 2; }
	@$(BIN)/python -m hack.image archive --base '$(BASE_ROOT)' --base-digest '$(BASE_DIGEST)' --base-name '$(BASE)' --name $(IMAGE) $(TOLD)

.PHONY: image-size
image-size: $(READY) ## say what the image's own layer weighs, and its heaviest parts
	@$(BIN)/python -m hack.image size

.PHONY: sbom
sbom: $(READY) ## write what is in the image, with licences, as CycloneDX (build/sbom.cdx.json)
	@$(BIN)/python -m hack.image sbom

.PHONY: wheels
wheels: $(READY) ## ask the package index whether every pinned package has wheels for amd64 and arm64 (network)
	@for platform in x86_64 aarch64; do \
	  $(BIN)/uv pip install --dry-run --quiet --python-platform $$platform-manylinux_2_28 --python-version 3.13 \
	    --only-binary :all: --require-hashes --target build/wheels -r requirements/runtime.txt; \
	  echo "$$platform: every package has a wheel"; \
	done

.PHONY: controlplane
controlplane: $(READY) ## fetch or build etcd, kube-apiserver and kubectl (once; kept in the user's cache) [CONTROLPLANE_VERSION=1.37.2]
	@$(BIN)/python -m hack.controlplane prepare

.PHONY: nats
nats: $(READY) ## find or build a NATS server for the tests of event logs (once; kept in the user's cache)
	@$(BIN)/python -m hack.nats

.PHONY: redis
redis: $(READY) ## look for a Redis server for the tests of event logs
	@$(BIN)/python -m hack.redis

.PHONY: postgres
postgres: $(READY) ## look for PostgreSQL and PgBouncer for the tests of the receiver
	@$(BIN)/python -m hack.postgres

.PHONY: prometheus
prometheus: $(READY) ## look for Prometheus and promtool for the tests of alerts
	@$(BIN)/python -m hack.prometheus

.PHONY: helm
helm: $(READY) ## find or build Helm for the tests of the chart (once; kept in the user's cache)
	@$(BIN)/python -m hack.helm

# All by default: 2.8 GB, and 6 to 17 minutes once, most of it for Gitea's build. Tests of a product that
# is not there are skipped by name: `make test PRODUCTS=none` installs nothing.
PRODUCTS ?=

.PHONY: products
products: $(READY) ## install JupyterHub's proxy, Synapse, Superset, Label Studio, Unleash, Gitea and Keycloak for the tests (once; kept in the user's cache) [PRODUCTS="synapse gitea"]
	@$(BIN)/python -m tests.e2e.products $(PRODUCTS)

.PHONY: rootfs
rootfs: $(READY) ## build the image's root file system for the tests, without a container runtime
	@$(BIN)/python -m hack.rootfs

# No header and no index: a lock file says what is installed, not from where or by whom.
LOCK := --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11

.PHONY: lock
lock: $(READY) ## resolve requirements/*.txt anew from pyproject.toml [ARGS=--upgrade]
	$(BIN)/uv pip compile $(LOCK) --extra receiver --output-file requirements/runtime.txt pyproject.toml $(ARGS)
	$(BIN)/uv pip compile $(LOCK) --extra receiver --group dev --output-file requirements/dev.txt pyproject.toml $(ARGS)
	$(BIN)/uv pip compile $(LOCK) --group build --output-file requirements/build.txt $(ARGS)
	for wanted in tests/e2e/products/requirements/*.in; do \
	  $(BIN)/uv pip compile $(LOCK) --no-annotate --output-file "$${wanted%.in}.txt" "$$wanted" $(ARGS); \
	done

.PHONY: clean
clean: ## remove generated files (control plane and NATS server stay in the user's cache)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define NO_PACKAGES
error: the Python packages cannot be installed. Needed once, and then kept:
  - a Python package index: go online, or let pip.conf or PIP_INDEX_URL name a mirror (HTTPS_PROXY a proxy);
  - etcd, kube-apiserver and kubectl: fetched in seconds to a minute where github.com can be reached; else
    built with Go >= 1.26 in 8 to 16 minutes; or KUBEBUILDER_ASSETS names a folder that has them.
pip said at last (the rest: .venv/pip.log):
endef
export NO_PACKAGES

$(READY): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo 'error: no $(PYTHON) in PATH; Python >= 3.11 is needed (make PYTHON=/path/to/python3.12 takes another one)' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python >= 3.11 is needed (make PYTHON=/path/to/python3.12 takes another one)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt 2> .venv/pip.log || { echo "$$NO_PACKAGES" >&2; tail -n 1 .venv/pip.log >&2; exit 3; }
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
