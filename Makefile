# Postmend. `make demo` and `make test` need Python 3.11 or newer, pip and make, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: install demo test lint lock worker bench simulate pictures clean erase-keys-and-data

install: $(STAMP)

$(STAMP): requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit("Postmend needs Python 3.11 or newer; set PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

demo: install
	$(BIN)/python manage.py demo

test: install
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING

# Hashed locks for every Python from 3.11 on; no index address is written.
lock:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9'
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra sandbox --extra test pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra browser pyproject.toml -o requirements-browser.txt

# The scenarios against the health rules, in simulated time (docs/decisions/0014).
simulate: install
	$(BIN)/python manage.py simulate all --seeds 1-5

worker: install
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py worker

# Writes docs/benchmark.md; measures what it finds: Dovecot, npm, PostgreSQL.
bench: install
	if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then POSTGRES_OPTIONS="-c shared_buffers=256MB" scripts/with-postgres $(BIN)/python -m tests.benchmarks docs/benchmark.md; \
	else $(BIN)/python -m tests.benchmarks docs/benchmark.md; fi

# Pictures of a running demo: make pictures USER=support PASSWORD=...
pictures: install
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-browser.txt
	$(BIN)/python scripts/pictures.py http://127.0.0.1:8000 $(USER) $(PASSWORD) pictures

# Keys and data stay: without the keys no stored secret can be read again.
clean:
	rm -rf $(VENV)

# Everything: make erase-keys-and-data SURE=yes
erase-keys-and-data:
	@test "$(SURE)" = yes || { echo "This deletes the local database and its keys. Add SURE=yes."; exit 1; }
	rm -rf .postmend
