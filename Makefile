# Tepal's commands. `make` alone lists them.
# Not PYTHON: that is Compose's, for the image.
PY ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run train examples test check fuzz chaos soak bench tune screenshots requests lint up down env lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/serve ## serve on http://127.0.0.1:8080, with Iris trained where there is no model yet
	@$(BIN)/python -m train iris --algorithm svm --algorithm logistic --if-empty --brief
	@$(BIN)/python -m tepal requirements > .venv/needs.new && ! cmp -s .venv/needs.new .venv/needs \
	  && { ! grep -q == .venv/needs.new || echo "  installing what the models need" ; } \
	  && $(BIN)/pip install --quiet --disable-pip-version-check -r .venv/needs.new && mv .venv/needs.new .venv/needs || true
	@exec $(BIN)/python -m api

train: .venv/serve ## train Iris again, as the next version of both models
	@$(BIN)/python -m train iris --algorithm svm --algorithm logistic

examples: .venv/train ## train every example model: epidemic, forecast, income, iris, language
	@for name in epidemic forecast income iris language; do $(BIN)/python -m train $$name || exit 1; done

# Three runs beside each other: the tests in containers wait for them most of the time, and the two others give way to them,
# because some of the containers are under load. Then the tests in which no answer may be late, with the machine to themselves.
CONTAINERS := tests/deploy $(patsubst %,tests/stack/test_%.py,compose container_faults container_platforms container_rooms image)
TIMED := $(patsubst %,tests/stack/test_%.py,faults many metrics nasty nginx page rollout rooms swap traffic worker)
PYTEST := $(BIN)/python -m pytest

test: .venv/dev ## run the tests; what needs nginx, Chromium or Docker is skipped where they are missing
	@shown=$$(mktemp -d); \
	nice $(PYTEST) tests/tepal >"$$shown/library" 2>&1 & library=$$!; \
	$(PYTEST) $(CONTAINERS) >"$$shown/containers" 2>&1 & containers=$$!; \
	trap 'kill $$library $$containers; exit 1' INT TERM; \
	nice $(PYTEST) $(addprefix --ignore=,tests/tepal $(CONTAINERS) $(TIMED)); failed=$$?; \
	wait $$library || failed=1; cat "$$shown/library"; \
	wait $$containers || failed=1; cat "$$shown/containers"; rm -r "$$shown"; \
	$(PYTEST) $(TIMED) || failed=1; exit $$failed

check: lint test ## everything that must hold before a change goes in

fuzz: .venv/dev ## run the property tests with 10,000 cases each (minutes)
	FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest tests/tepal/wire/test_json.py tests/tepal/wire/test_formats.py \
	  tests/api/test_property.py tests/api/dialects/test_property.py \
	  tests/stack/test_nasty.py::test_random_bytes_get_an_answer_of_the_contract_or_none \
	  tests/stack/test_described.py

chaos: .venv/dev ## do to processes and containers under load what goes wrong, for a minute each (40 minutes)
	FAULT_SECONDS=60 $(BIN)/python -m pytest -s $(patsubst %,tests/stack/test_%.py,\
	  faults rooms swap traffic container_faults container_rooms)

soak: .venv/dev ## 1,000,000 predictions, then some by a model that leaks, and files of millions of rows: memory is flat (minutes)
	SOAK_REQUESTS=1000000 $(BIN)/python -m pytest -s tests/stack/test_memory.py
	BULK_ROWS=4000000 $(BIN)/python -m pytest -s tests/tepal/test_bulk.py -k memory

screenshots: .venv/dev ## take the picture of the page that the README shows again (needs Chromium)
	$(BIN)/python -m tests.screenshots

bench: .venv/dev ## measure Tepal beside a baseline, the limit and its peers, and write bench/RESULTS.md (40 minutes)
	$(BIN)/python -m bench --output bench/RESULTS.md

tune: .venv/dev ## measure workers and threads for the models in model/ on this machine, and print what to set (minutes)
	@$(BIN)/python -m bench.tune

lint: .venv/dev ## style, types and the configuration files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint api/Dockerfile nginx/Dockerfile train/Dockerfile
	$(BIN)/shellcheck .ci/run nginx/start train/start
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

up: ## build and start the whole stack with Docker Compose, on http://127.0.0.1:8080
	docker compose up --build --detach

down: ## stop the stack
	docker compose down

env: .venv/serve ## write .env.example again, from the table of settings
	$(BIN)/python -m api --env-example > .env.example

requests: .venv/serve ## write examples/requests.http again, from the Iris of model/
	DEFAULT_MODEL=iris $(BIN)/python -m api --requests-http > examples/requests.http

lock: ## pin every dependency again, with hashes, for Python 3.11 and later (needs uv)
	uv pip compile --quiet --upgrade $(LOCK) --extra serve --output-file requirements.txt
	uv pip compile --quiet --upgrade $(LOCK) --extra serve --group dev --constraint requirements.txt --output-file requirements-dev.txt
	uv pip compile --quiet --upgrade $(LOCK) --extra serve --extra pandas --constraint requirements-dev.txt --output-file requirements-train.txt
	echo pyarrow | uv pip compile --quiet --no-deps $(PINNED) - --constraint requirements-dev.txt --output-file requirements-arrow.txt
	echo 'tritonclient[http]' | uv pip compile --quiet --upgrade $(PINNED) - --output-file tests/stack/clients/triton.txt
	echo 'mlflow-skinny pandas scipy' | tr ' ' '\n' | uv pip compile --quiet --upgrade $(PINNED) - --output-file tests/stack/clients/mlflow.txt
PINNED := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
LOCK := pyproject.toml $(PINNED)

clean: ## remove the virtual environments and every cache; models stay
	rm -rf .venv .venv-clients .venv-bench .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info

# Each stamp is newer than its lock once the lock is installed.
.venv/serve: requirements.txt | .venv
	@echo "  installing what serves into .venv: a minute, this once"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/train: requirements-train.txt .venv/serve
	@echo "  installing what the examples need into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-train.txt
	@touch $@

.venv/dev: requirements-dev.txt .venv/serve
	@echo "  installing what the tests need into .venv: minutes, this once"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv:
	@$(PY) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	  || { echo "Tepal needs Python 3.11 to 3.14; name one: make $(MAKECMDGOALS) PY=python3.13" >&2; exit 1; }
	@$(PY) -m venv .venv
