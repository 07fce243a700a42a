.DEFAULT_GOAL := help
.PHONY: help venv check rules lint-policies test test-e2e test-faults test-crashes test-disaster test-docs test-asyncapi test-pages demo run up down ps logs verify simulate overload fuzz mutants bench bench-casefile schemas release asyncapi lock clean

PYTHON := .venv/bin/python
STAMP  := .venv/.installed
CODE   := schemas shared services deploy tests
# What a target needs beside requirements.lock: `@$(INSTALL) a lock file`.
INSTALL = if command -v uv >/dev/null; then install='uv pip install -q -p $(PYTHON)'; \
    else install='$(PYTHON) -m pip install -q --disable-pip-version-check'; fi; $$install --require-hashes -r

help: ## What can be done here
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

venv: $(STAMP) .venv/bin/recourse ## The virtual environment .venv, as requirements.lock pins it
$(STAMP): requirements.lock
	@set -eu; \
	fits='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'; \
	for python in python3 python3.14 python3.13 python3.12 python3.11 ''; do \
	    if [ -n "$$python" ] && "$$python" -c "$$fits" 2>/dev/null; then break; fi; \
	done; \
	if [ -z "$$python" ]; then echo 'Recourse needs Python 3.11 to 3.14; none is in the PATH.' >&2; exit 1; fi; \
	echo "Installing what requirements.lock pins into .venv ($$("$$python" --version)) ..."; \
	if command -v uv >/dev/null; then \
	    [ -x $(PYTHON) ] || uv venv -q --no-project -p "$$(command -v "$$python")" .venv; \
	    uv pip install -q -p $(PYTHON) --require-hashes -r requirements.lock; \
	else \
	    [ -x $(PYTHON) ] && $(PYTHON) -m pip --version >/dev/null 2>&1 || "$$python" -m venv --clear .venv \
	        || { echo 'This Python cannot make virtual environments (on Debian: install python3-venv).' >&2; exit 1; }; \
	    $(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock; \
	fi
	@touch $@

.venv/bin/recourse: $(STAMP) # the case file from a terminal
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -m deploy.recourse "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(PYTHON)" > $@
	@chmod +x $@

check: venv ## Format, lint, types and the rules of the house
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy $(CODE)
	$(PYTHON) -m pytest -q --continue-on-collection-errors tests/house

rules: venv ## Every rule of docs/RULES.md and the tests that prove it
	@$(PYTHON) -m tests.house.rules

lint-policies: venv ## Every policy file as a service reads it, and what is wrong with it (FOLDER=path: those files)
	@$(PYTHON) -m deploy.lint_policies $(FOLDER)

test: venv ## All tests but the house's, on a real Kafka and PostgreSQL where they need one, in containers where an engine answers
	$(PYTHON) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/house --ignore=tests/e2e --ignore=tests/docs --ignore=tests/pages
	$(PYTHON) -m pytest -q tests/e2e tests/docs

test-e2e: venv ## The whole system in containers: its stories, and what only containers can be put through
	RECOURSE_TESTS_REQUIRED=1 $(PYTHON) -m pytest -q tests/e2e

test-faults: venv ## Services, broker and database killed and frozen while money moves
	RECOURSE_TEST_FAULTS=1 $(PYTHON) -m pytest -q tests/faults

test-crashes: venv ## Every service killed at every one of its steps while money moves (SEED=n: the same deaths again)
	RECOURSE_TEST_CRASHES=1 $(if $(SEED),RECOURSE_TEST_SEED=$(SEED)) $(PYTHON) -m pytest -q -n 0 tests/faults/test_crashes.py

test-disaster: venv ## A database put back, a topic made anew, Kafka lost or cut, while money moves; then put right as OPERATIONS.md says
	RECOURSE_TEST_DISASTER=1 RECOURSE_TEST_HISTORIES=200 $(PYTHON) -m pytest -q -n 0 tests/disaster

test-docs: venv ## Every recipe of docs/OPERATIONS.md, run on a system in containers and compared
	$(PYTHON) -m pytest -q tests/docs

test-asyncapi: venv ## schemas/asyncapi.json as AsyncAPI's own parser reads it, which runs on Node
	@$(INSTALL) tests/contract/asyncapi/requirements.lock
	RECOURSE_TESTS_REQUIRED=1 $(PYTHON) -m pytest -q tests/contract/test_asyncapi_parser.py

test-pages: venv ## The case file's pages in a browser, and its OpenAPI document tried on its routes (PICTURES=1: as docs/pages has them)
	@$(INSTALL) tests/pages/requirements.lock
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && echo 'Installing Chromium ...' && apt-get update -q >/dev/null \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium >/dev/null; } || true
	RECOURSE_TEST_PICTURES=$(PICTURES) RECOURSE_TESTS_REQUIRED=1 $(PYTHON) -m pytest -q tests/pages

demo: venv ## Play the stories and show where the money went (STORY=2: only that one; POLICY=name; AGAINST=name.version; PROVIDER=sandbox; STACK=compose; KEEP=1: stays, to be looked at)
	@$(PYTHON) -m deploy.local.demo $(STORY) $(if $(POLICY),--policy $(POLICY)) $(if $(AGAINST),--against $(AGAINST)) $(if $(PROVIDER),--provider $(PROVIDER)) \
	    $(if $(STACK),--stack $(STACK)) $(if $(KEEP),--keep)

run: venv ## Kafka, PostgreSQL and all services in the foreground, data kept in .recourse/
	@$(PYTHON) -m deploy.local.run

up: ## The whole system in containers, by docker compose
	@mkdir -p .recourse/policies
	docker compose up -d --build --wait

down: ## Stop the containers; their data stays (docker compose down -v removes it, too)
	docker compose --profile '*' down

ps: ## Which containers run, and how they are
	@docker compose ps

logs: ## What the containers say, as they say it
	@docker compose logs -f --tail 100

verify: venv ## Prove on a running system's topics and ledger that no penny is lost, doubled or stranded (STACK=compose)
	@$(PYTHON) -m deploy.verify $(if $(STACK),--stack $(STACK))

simulate: venv ## The whole system against crashes, delays and lies in virtual time (SEED=n, SECONDS=n, CELLS=1: what was not met, CORES=n)
	@$(PYTHON) -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) \
	    $(if $(CELLS),--cells) $(if $(CORES),--cores $(CORES))

overload: venv ## Ten times what this machine can take, for a minute: memory, lag, and what becomes of it (SECONDS=n)
	@$(PYTHON) -m tests.overload $(if $(SECONDS),--seconds $(SECONDS))

fuzz: venv ## The codec against bytes that a fuzzer thinks of (SECONDS=n, INPUT=file: a finding once more)
	@$(INSTALL) tests/fuzz/requirements.lock
	@$(PYTHON) -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(INPUT)

mutants: venv ## Bugs put into the code, one at a time, and who notices: the tests or the simulation (ONLY=words, WORKERS=n, SIMULATION=1: it alone)
	@$(PYTHON) -m tests.mutants $(ONLY) $(if $(WORKERS),--workers $(WORKERS)) $(if $(SIMULATION),--simulation)

bench: venv ## How many, how fast, at what cost, and the same by hand (ONLY="lifecycle hop idle timers throughput"; LIVES=n, ORDERS=n, TIMERS=n, PARTITIONS=n, APART=1; JSON=file; PROFILE=1: in memory, by stage)
	@$(PYTHON) -m tests.bench $(ONLY) $(if $(LIVES),--lives $(LIVES)) $(if $(ORDERS),--orders $(ORDERS)) \
	    $(if $(TIMERS),--timers $(TIMERS)) $(if $(PARTITIONS),--partitions $(PARTITIONS)) $(if $(APART),--apart) $(if $(JSON),--json $(JSON)) \
	    $(if $(PROFILE),--profile)

bench-casefile: venv ## How fast the case file is made from the topics, and looked into (ORDERS=n)
	@$(PYTHON) -m tests.bench.casefile $(if $(ORDERS),--orders $(ORDERS))

schemas: venv ## Publish JSON Schemas, golden samples and the AsyncAPI document from the message definitions; register policy files
	$(PYTHON) -m deploy.publish

release: venv ## Publish the same, and promise it: no later schema may break what this one says
	$(PYTHON) -m deploy.publish --release

asyncapi: schemas ## The contract as an AsyncAPI 3 document, schemas/asyncapi.json (make schemas writes it, too)

lock: ## Pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate --group dev -o requirements.lock pyproject.toml
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate -c requirements.lock --group setup -o deploy/requirements.lock pyproject.toml
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate --group fuzz -o tests/fuzz/requirements.lock
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate --group asyncapi -o tests/contract/asyncapi/requirements.lock
	uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate -c requirements.lock --group pages -o tests/pages/requirements.lock pyproject.toml

clean: ## Remove what can be made again; data in .recourse/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
