# The commands of this repository; each prepares what it needs. `make help` lists them.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FAST_TESTS := tests/unit tests/parity tests/service
ON_ALL_CORES := --numprocesses logical --dist worksteal
FILES_ON_ALL_CORES := --numprocesses logical --dist loadfile

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

$(READY): pyproject.toml client/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable client --editable '.[worker,embedded,dev]'
	touch $@

demo: $(READY) ## start everything, train two concepts, write images to demo-output/
	$(BIN)/python tools/demo.py

serve: $(READY) ## start everything and keep it running until Ctrl-C
	$(BIN)/dti serve

check: $(READY) ## everything that needs no service: lint, format, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/oxlint --deny-warnings --report-unused-disable-directives api/page/scripts
	$(BIN)/oxfmt --check api/page/scripts api/page/styles
	$(BIN)/zensical build --config-file zensical.toml

docs: $(READY) ## the documentation site in site/, its links checked
	$(BIN)/zensical build --config-file zensical.toml --clean

chromium: ## find the browser that the page's tests drive, or install Debian's
	@sh tools/chromium.sh

promtool: $(READY) ## find promtool, which tests the alert rules, or take Debian's
	@sh tools/promtool.sh $(BIN)

node: ## find node, or install Debian's, and what the TypeScript client is made with
	@sh tools/node.sh

test: check chromium node promtool ## everything: the checks, and all tests against real stores
	$(BIN)/python -m pytest -p tests.support.coverage $(ON_ALL_CORES) $(FAST_TESTS) tests/e2e/worker
	$(BIN)/pytest $(FILES_ON_ALL_CORES) --ignore tests/e2e/worker tests/e2e tests/browser

test-fast: $(READY) promtool ## the tests of an edit loop: no whole stacks, no browser, nothing slow, no coverage
	$(BIN)/pytest $(ON_ALL_CORES) -m "not slow" $(FAST_TESTS)

STUDY := study-output

study: $(READY) ## compare methods on the bundled model: 20 minutes, report in study-output/study/report.html
	$(BIN)/python -m tools.tiny.study $(STUDY)
	test -e $(STUDY)/study/manifest.json || $(BIN)/python -m cli study new $(STUDY)/study --concepts $(STUDY)/concepts --prompts $(STUDY)/prompts.json --judge tools.tiny.study:MiniatureJudge
	$(BIN)/python -m cli study run $(STUDY)/study

bench: $(READY) ## measure this machine and print the figures as a table
	$(BIN)/python -m bench

.PHONY: help demo serve check docs chromium node promtool test test-fast study bench
