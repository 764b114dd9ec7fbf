# Everything a person does with this tree has a name here; `make` lists them.
#
# WORKERS (test), ROUNDS, POWER_ROUNDS (crash), FUZZ_SECONDS (fuzz), BENCH_ROUNDS and BENCH_STEPS (bench) and ARGS
# (more words for pytest) may be given on the command line: make test ARGS="-k queue".

SHELL := /bin/bash
PY := .venv/bin/python
ROOMS := $(wildcard appliance data smtp imap webmail admin run.py)

WORKERS ?= 2
ARGS ?=
ROUNDS ?= 5
POWER_ROUNDS ?= 3
FUZZ_SECONDS ?= 120
BENCH_ROUNDS ?= 3
BENCH_STEPS ?=

.DEFAULT_GOAL := help
.PHONY: help run setup runtime test test-all check crash fuzz bench reset messages requirements format

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: runtime ## serve a trial on 127.0.0.1 from ./var: domain example.test, an administrator, two people
	@$(PY) run.py --state var trial

setup: ## make .venv with everything pinned by hash, and compile the translations
	@appliance/deploy/setup all

runtime: ## as setup, but only what the server needs
	@appliance/deploy/setup runtime

test: setup ## install the mail clients and peers the tests talk to, and run every test that is not long
	@appliance/deploy/test-needs
	$(PY) -m pytest -m "not long and not postgres" -n $(WORKERS) --dist loadfile $(ARGS)

test-all: setup ## all tests: the long ones too, and the data tests on PostgreSQL
	@appliance/deploy/test-needs all
	$(PY) -m pytest $(ARGS)

check: setup ## formatting, lint, types, floors, licences, translations, wording
	$(PY) -m ruff format --check --quiet .
	$(PY) -m ruff check --quiet .
	$(PY) -m mypy --strict $(ROOMS)
	$(PY) -m pytest -q -m "not long" tests/floors
	$(PY) -m appliance.deploy.licences
	$(PY) -m appliance.deploy.messages --check
	$(PY) -m appliance.deploy.wording

crash: setup ## kill the server under load, and cut its power; nothing acknowledged may be lost
	tests/instruments/crash/run.sh $(ROUNDS) $(POWER_ROUNDS)

fuzz: setup ## throw generated input at every parser for FUZZ_SECONDS
	tests/fuzz/run.sh $(FUZZ_SECONDS)

bench: setup ## measure against a private Postfix and Dovecot, interleaved, and print the table
	@appliance/deploy/test-needs
	tests/bench/run.sh "$(BENCH_ROUNDS)" "$(BENCH_STEPS)"

reset: ## throw the trial in ./var away
	@appliance/deploy/reset var

messages: setup ## collect the texts of the code into the translation catalogues
	$(PY) -m appliance.deploy.messages

requirements: ## pin the dependencies of pyproject.toml anew, with hashes (needs uv)
	appliance/deploy/pin

format: setup ## format and mend what ruff can mend
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
