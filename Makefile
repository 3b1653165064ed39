# Needs python3 (3.11 or newer) and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin

SOAK_RUNS ?= 50
SOAK_SEED ?= $(shell date +%s)

BENCH ?= quick

# At the end: the slowest tests, then how many there were and how long all took. Bytecode is kept even where the
# environment forbids it, or each process that a test starts would compile all of syncfsm anew. On two cores
# a third worker works while others wait for sockets.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 3 --durations=15 --durations-min=1

.PHONY: demo demo-many test thorough bench bench-published conformance conformance-quo mutants simulate soak lint docs screenshot check clean

demo: .venv/sim ## a simulated sync of 5,000 people with faults, its replay, and its picture in demo.html
	$(BIN)/syncfsm simulate --people 5000 --log demo.db
	$(BIN)/syncfsm log verify demo.db
	$(BIN)/syncfsm replay demo.db --until COMPLETED
	$(BIN)/syncfsm explain demo.db
	$(BIN)/syncfsm report demo.db -o demo.html

demo-many: .venv/dev ## 20 accounts, 3 workers, one of them killed, on a PostgreSQL of its own; the report in many.html
	$(BIN)/python -m benchmarks.many --accounts 20 --workers 3 --kills 1 --report many.html

test: .venv/dev ## all tests, some minutes
	$(PYTEST)

thorough: .venv/dev ## the same tests with many more examples, seeds and people, and commands started anew
	THOROUGH=1 $(PYTEST)

# A seed for each commit, so that every commit explores new ground; 1 where there is no git.
SEED ?= $(shell hash=$$(git rev-parse --short=7 HEAD 2>/dev/null) && printf '%d' 0x$$hash || echo 1)
SEEDS ?= 2000

simulate: .venv/sim ## many seeds of the hostile scenario, from one that the commit decides
	$(BIN)/syncfsm simulate hostile --seeds $(SEEDS) --seed $(SEED)

bench: .venv/bench ## whole pulls, logs and what speed hides, beside others; BENCH=full takes longer; docs/benchmarks.md
	$(BIN)/python -m benchmarks.pulls --size $(BENCH)

bench-published: .venv/bench .venv/dev ## the figures, the chart and the tables of docs/benchmarks.md anew; over an hour
	$(BIN)/python -m benchmarks.pulls --size full --publish
	$(BIN)/cog -r docs/benchmarks.md

mutants: .venv/mutants ## mutation testing of the pure core, some minutes; docs/mutation.md
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/python -m tests.mutation

soak: .venv/dev ## syncs killed again and again, from SOAK_RUNS seeds never seen before
	SOAK_RUNS=$(SOAK_RUNS) SOAK_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -v -n 2 tests/acceptance/test_killed.py

conformance: .venv/dev ## the fake Attio against Attio's OpenAPI document: make conformance ATTIO_OPENAPI=FILE
	@test -f "$(ATTIO_OPENAPI)" || { echo "name the document: make conformance ATTIO_OPENAPI=FILE"; exit 2; }
	ATTIO_OPENAPI="$(abspath $(ATTIO_OPENAPI))" $(BIN)/python -m pytest -q tests/conformance --ignore tests/conformance/test_quo.py

conformance-quo: .venv/dev ## the fake Quo against Quo's OpenAPI document: make conformance-quo QUO_OPENAPI=FILE
	@test -f "$(QUO_OPENAPI)" || { echo "name the document: make conformance-quo QUO_OPENAPI=FILE"; exit 2; }
	QUO_OPENAPI="$(abspath $(QUO_OPENAPI))" $(BIN)/python -m pytest -q tests/conformance/test_quo.py

lint: .venv/dev ## formatting, lint, types, layers, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/cog --check -r docs/*.md

docs: .venv/dev ## write the generated parts of the docs anew
	$(BIN)/cog -r docs/*.md

screenshot: .venv/dev ## take docs/report.png anew; needs chromium and chromedriver
	$(BIN)/python -m docs.screenshot

check: lint test ## what CI runs

clean: ## remove what was made here
	rm -rf .venv .venv-bench mutants bench.json demo.db demo.db-wal demo.db-shm demo.html many.html

.venv/made: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/sim: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sim]'
	@touch $@

.venv/dev: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/bench .venv/sim

.venv/bench: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ .venv/sim

.venv/mutants: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	@touch $@ .venv/dev .venv/sim
