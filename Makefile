# Everything that is done with this checkout. Needs python3 (3.11 or newer), python3-venv and make, and no compiler:
# one comes from the package index with the other requirements. Nothing here calls a system package manager.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIST := dist
DEMO := firmware/build/stm32h745/demo
SMOKE := platforms/skeleton/smoke
NATIVE := orchestrator/engines/*/native/*.[ch] orchestrator/engines/common/c_structs.py $(SMOKE)/*.c $(SMOKE)/*.ld $(SMOKE)/Makefile

# Two workers suit the smallest machine that this is developed on.
TEST_JOBS ?= 2

# Random RPTUN set-ups that `make conformance` runs on both engines; a second each.
SETUPS ?= 2000

# Wall time that `make fuzz` has, in all, and where its chance begins.
SECONDS ?= 600
SEED ?= 1

# Rounds of `make encodings`, each of 400,000 wide encodings; half a minute each.
ROUNDS ?= 10

# Faults that `make mutation` puts into each part; the part's tests run on each.
MUTANTS ?= 60

.DELETE_ON_ERROR:
.PHONY: help demo test lint lowest bench conformance encodings mutation fuzz docs wheel firmware clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/.run firmware ## build both firmware images, boot both cores, print the report
	$(BIN)/rptwin run $(DEMO)/main.elf $(DEMO)/remote.elf

test: $(VENV)/.dev ## unit, integration and Robot suites; the last lines count them
	@$(MAKE) --no-print-directory -C firmware PYTHON=$(abspath $(BIN)/python) -j $(TEST_JOBS) all
	$(BIN)/pytest -n $(TEST_JOBS) --dist loadgroup

lint: $(VENV)/.dev ## ruff, mypy --strict, peripheral scripts, and whether the generated pages are current
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m orchestrator.platform.script_lint platforms
	$(BIN)/python docs/generate.py --check

lowest: wheel ## the demo at the lowest versions of its dependencies that it promises; needs a package index
	rm -rf build/lowest && $(PYTHON) -m venv build/lowest
	$(PYTHON) tests/lowest_versions.py >build/lowest.txt
	build/lowest/bin/pip install --quiet --constraint build/lowest.txt "$$(echo dist/*.whl)[robot,pytest,pcapng]"
	cd build && lowest/bin/rptwin demo
	cd build && lowest/bin/python -m robot.libdoc orchestrator.robot.RptwinLibrary list >/dev/null

bench: $(VENV)/.dev firmware ## speed and memory, as ratios where possible
	@$(MAKE) --no-print-directory -C firmware PYTHON=$(abspath $(BIN)/python) net cached
	@$(MAKE) --no-print-directory -C firmware PYTHON=$(abspath $(BIN)/python) BOARD=mps2_an521 demo
	$(BIN)/python -m bench

conformance: $(VENV)/.dev ## the engine against QEMU's Cortex-M4, M7, M33 and two M33, case by case; needs qemu-system-arm
	$(BIN)/python -m conformance
	@$(MAKE) --no-print-directory -C firmware PYTHON=$(abspath $(BIN)/python) BOARD=mps2_an521 demo
	$(BIN)/python -m conformance.setups --count $(SETUPS)

encodings: $(VENV)/.dev ## what recognises instructions against another decoder: millions of encodings
	for seed in $$(seq $(ROUNDS)); do RPTWIN_ENCODINGS=400000 RPTWIN_ENCODINGS_SEED=$$seed \
		$(BIN)/python -m pytest -q -n0 tests/unit/engines/unicorn/cpu/test_encodings.py || exit 1; done

mutation: $(VENV)/.dev ## small faults in parsers, queues, facts, exceptions and each rule: how many a test notices
	$(BIN)/python -m mutation --count $(MUTANTS) --jobs $(TEST_JOBS)

fuzz: $(VENV)/.dev ## inputs by chance for SECONDS=600: parsers, images, tables, rings, instructions against QEMU
	$(BIN)/python -m fuzz --seconds $(SECONDS) --seed $(SEED)

docs: $(VENV)/.dev ## write the pages that are generated: check catalogue, Robot keywords, bugs of the field
	$(BIN)/python docs/generate.py

# By way of the sdist: what it lacks, the wheel lacks, and CI sees it.
wheel: $(VENV)/.dev ## dist/*.tar.gz and the wheel made from it
	rm -rf $(DIST)
	$(BIN)/python -m hatchling build --target sdist --directory $(DIST)
	$(BIN)/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir $(DIST) $(DIST)/*.tar.gz
	@ls -l $(DIST)

firmware: $(VENV)/.run
	@$(MAKE) --no-print-directory -C firmware PYTHON=$(abspath $(BIN)/python) demo

clean: ## what was built, the virtual environment apart
	rm -rf $(DIST) firmware/build conformance/firmware/build orchestrator/engines/*/_native $(SMOKE)/*.elf robot/output
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

# A virtual environment with a pip that knows dependency groups (25.1).
$(VENV)/.pip:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "there is no $(PYTHON); on Debian: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "rptwin needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V); name another: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make a virtual environment; on Debian: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

# What running needs. Without build isolation the compiler's wheel is unpacked once and not for every build.
$(VENV)/.run: $(VENV)/.pip pyproject.toml hatch_build.py $(wildcard $(NATIVE))
	$(BIN)/pip install --quiet --group build
	$(BIN)/pip install --quiet --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install --quiet --group dev
	@touch $@
