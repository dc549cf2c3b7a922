# GPU Watchdog. `make help` lists what can be done.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The pods' Python must be readable by every user, as the system's is; the checks run under any from 3.10 on.
POD_PYTHON ?= /usr/bin/python3
PYTHON ?= $(POD_PYTHON)
WORKERS ?= 0
GPUS ?= 0
POD ?= head
TESTS ?=
CAPTURE ?=

RUNTIME := build/runtime/.ready
DEV := build/dev/.ready
BENCH := build/bench/.ready
FAKE_NVML := build/fake_nvml/libnvidia-ml.so.1
OLD_BINDINGS := build/old_bindings/.ready
PROMTOOL := build/promtool/promtool
PROMETHEUS := build/prometheus/prometheus
NVML_HEADER := build/nvml/nvidia/nvml_dev/include/nvml.h
BIN := build/dev/bin
AS_ROOT := $(filter 0,$(shell id -u))
# Pods are started by the same Python that they run.
LOCAL := $(POD_PYTHON) -B -m local

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-15s %s\n", $$1, $$2}'

# --- a cluster on this machine ---------------------------------------------------------------------------------

.PHONY: run
run: need-root pod-programs $(RUNTIME) $(if $(filter-out 0,$(GPUS)),$(FAKE_NVML)) ## boot a head here (WORKERS=2 more pods, GPUS=4 simulated on each)
	@$(LOCAL) run --workers "$(WORKERS)" --gpus "$(GPUS)"

.PHONY: status
status: need-root ## show the pods, Slurm's nodes and every program
	@$(LOCAL) status

.PHONY: shell
shell: need-root ## open a shell in a pod (POD=head, worker1 ...)
	@$(LOCAL) shell "$(POD)"

.PHONY: stop
stop: need-root ## end the pods; nothing is left running, mounted or bound
	@$(LOCAL) stop

# --- checks ----------------------------------------------------------------------------------------------------

.PHONY: test
test: need-root lint types imports unit system ## all checks and tests, system tests included

.PHONY: lint
lint: $(DEV) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(DEV) ## mypy --strict
	$(BIN)/mypy

.PHONY: imports
imports: $(DEV) ## which module may import which
	PYTHONPATH=. $(BIN)/lint-imports --no-logo

.PHONY: unit
unit: $(if $(AS_ROOT),pod-programs) $(DEV) $(FAKE_NVML) $(OLD_BINDINGS) $(PROMTOOL) ## fast tests of single modules
	$(BIN)/python -m pytest -m "not system and not image" $(TESTS)

.PHONY: system
system: need-root pod-programs $(DEV) $(RUNTIME) $(FAKE_NVML) $(PROMETHEUS) ## real daemons in several pods
	$(BIN)/python -m pytest -m system $(TESTS)

.PHONY: image-test
image-test: need-root $(DEV) $(FAKE_NVML) $(PROMETHEUS) ## build the image and run the system tests in containers of it (needs Docker, installs it)
	@TESTS="$(TESTS)" tests/image/engine.sh tests/image/run.sh

.PHONY: device-test
device-test: $(DEV) ## the GPU exporter beside nvidia-smi on a machine with an NVIDIA GPU (CAPTURE=FILE keeps what it saw)
	@CAPTURE="$(CAPTURE)" $(BIN)/python -m tests.device

.PHONY: bench
bench: need-root pod-programs $(DEV) $(RUNTIME) $(FAKE_NVML) ## boot and recovery times and memory, beside their floors
	$(BIN)/python -m benchmarks.boot

.PHONY: bench-gpu
bench-gpu: need-root $(DEV) $(FAKE_NVML) $(BENCH) ## the GPU exporter beside nvitop-exporter and bare NVML calls
	@local/packages.sh wrk
	$(BIN)/python -m benchmarks.gpu_exporter

.PHONY: bench-slurm
bench-slurm: need-root pod-programs $(DEV) ## the Slurm exporter beside one squeue and vpenso's commands (JOBS="1000 10000")
	@local/packages.sh cc libslurm-dev
	$(BIN)/python -m benchmarks.slurm_exporter

# --- the image -------------------------------------------------------------------------------------------------

.PHONY: template-build
template-build: ## build the image (DOCKER_USERNAME=you; BASE_IMAGE, SLURM_SOURCE, SLURM_VERSION, MUNGE_KEY_FILE)
	@docker/build.sh build

.PHONY: template-push
template-push: ## push it to the registry (DOCKER_USERNAME=you)
	@docker/build.sh push

# --- upkeep ----------------------------------------------------------------------------------------------------

.PHONY: lock
lock: ## pin the newest allowed dependencies, with hashes (needs uv on PATH)
	for name in requirements requirements-dev benchmarks/requirements; do \
		uv pip compile --universal --python-version 3.10 --generate-hashes --no-annotate --no-emit-index-url \
			--custom-compile-command "make lock" --quiet --upgrade $$name.in -o $$name.txt; \
	done

.PHONY: clean
clean: ## remove everything that was built here
	@if [ -e build/local/head ]; then $(LOCAL) stop; fi
	rm -rf build

# --- what the targets above stand on -----------------------------------------------------------------------------

.PHONY: need-root
need-root:
	@if [ "$$(id -u)" != 0 ]; then \
		echo "Pods need root. Run: sudo make $(firstword $(MAKECMDGOALS)). Without root: make lint types imports unit" >&2; \
		exit 1; \
	fi

.PHONY: pod-programs
pod-programs:
	@local/packages.sh munged slurmctld slurmd scontrol ip nsenter setpriv ps curl venv

$(RUNTIME): requirements.txt docker/make-venv.sh | pod-programs
	@echo "Making the pods' Python environment ..."
	@docker/make-venv.sh build/runtime $(POD_PYTHON) requirements.txt
	@touch $@

$(DEV): requirements-dev.txt
	@local/packages.sh venv
	@echo "Making the checks' Python environment ..."
	@rm -rf build/dev
	@$(PYTHON) -m venv build/dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(BENCH): benchmarks/requirements.txt
	@local/packages.sh venv
	@echo "Making the benchmarks' Python environment ..."
	@rm -rf build/bench
	@$(PYTHON) -m venv build/bench
	@build/bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.txt
	@touch $@

$(NVML_HEADER): tests/fake_nvml/requirements.txt
	@local/packages.sh venv
	@rm -rf build/nvml build/nvml-pip
	@$(POD_PYTHON) -m venv build/nvml-pip
	@build/nvml-pip/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--target build/nvml -r tests/fake_nvml/requirements.txt
	@rm -rf build/nvml-pip
	@touch $@

$(OLD_BINDINGS): $(wildcard tests/exporters/gpu/old_bindings/*.txt) | $(DEV)
	@rm -rf $(@D)
	@for file in $(wildcard tests/exporters/gpu/old_bindings/*.txt); do \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
			--target $(@D)/$$(basename $$file .txt) -r $$file || exit 1; \
	done
	@touch $@

$(PROMTOOL) $(PROMETHEUS):
	@local/unpack.sh prometheus $@

$(FAKE_NVML): $(NVML_HEADER) $(wildcard tests/fake_nvml/*.c tests/fake_nvml/*.h tests/fake_nvml/Makefile)
	@local/packages.sh cc
	@$(MAKE) --no-print-directory -C tests/fake_nvml NVML_INCLUDE=$(abspath $(dir $(NVML_HEADER))) OUT=$(abspath $(dir $@))
	@touch $@
