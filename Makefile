# Two commands: `make demo` and `make test`. Both set up what they need; a second run starts working within seconds.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
PY := .venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow test-gpu test-core libero test-libero test-openpi test-lerobot test-browser test-slurm lint setup

demo: setup  ## the quickstart: demos, conversion, stats, scenes, warm-up, training, evaluation, summary
	$(PY) -m pirig pipeline experiment=quickstart_eyes run.mode=resume

test: setup  ## everything that runs in minutes, in two processes
	$(PY) -m pytest -n 2 --dist loadfile

test-slow: setup
	$(PY) -m pytest -m slow

test-gpu: setup  ## the simulator on a CUDA device: many scenes at once
	$(PY) -m pytest -m gpu

test-core: setup  ## the core without a simulator, in a venv of its own with numpy 2 and the newest JAX
	$(PY) -m venv build/core && build/core/bin/python -m pip install -q -U -e '.[wandb]' pytest beartype 'numpy>=2' jax
	build/core/bin/python -m pytest tests/config tests/files tests/transforms tests/models tests/weights tests/datasets tests/training

libero: setup .venv/.libero  ## LIBERO, and the smallest chain in it: demos, training, evaluation
	$(PY) -m pirig pipeline experiment=libero_smoke run.mode=resume

test-libero: setup .venv/.libero  ## the second simulator, LIBERO
	$(PY) -m pytest -m libero tests/sim/libero tests/demos/libero tests/evaluation/libero

.venv/.libero: pyproject.toml constraints.txt
	$(PY) -m pip install -q -c constraints.txt -e '.[sim,libero]' && touch $@

test-openpi:  ## the real openpi beside ours: OPENPI=CLONE make test-openpi (docs/openpi.md)
	bash launchers/openpi.sh
	build/openpi/bin/python -m pytest -m openpi tests/weights/test_real_openpi.py tests/training/test_real_openpi_trainer.py tests/training/test_real_openpi_relative.py tests/serving/test_real_openpi_serving.py -o junit_family=xunit1 --junitxml=build/openpi/numbers.xml

test-lerobot: setup  ## real lerobots read what we write: 0.4.4, and 0.3.3, which reads v2.1
	$(PY) -m pip install -q --no-deps lerobot==0.4.4 torchvision==0.28.0 && $(PY) -m pip install -q -c constraints.txt 'datasets<4.3' jsonlines einops accelerate huggingface-hub
	$(PY) -m pip install -q --no-deps --target build/lerobot-0.3.3 --upgrade lerobot==0.3.3 datasets==3.6.0
	$(PY) -m pytest -m lerobot

test-browser: setup  ## the pages of `pirig compare` and `pirig inspect` in a real headless Chromium
	bash launchers/chromium.sh && $(PY) -m pip install -q -c constraints.txt playwright
	$(PY) -m pytest -m browser -s

test-slurm: setup  ## sweeps on a real one-node SLURM, started for it and removed after it (Debian or Ubuntu, root)
	export PIRIG_SLURM=/tmp/pirig-slurm-test PIRIG_SLURM_PORT=16847
	trap 'launchers/one_node_slurm.sh clean' EXIT
	launchers/one_node_slurm.sh start
	. $$PIRIG_SLURM/env.sh
	$(PY) -m pytest -m slurm tests/sweeps $(SELECT)

lint: setup
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

setup: .venv/.ready  ## venv, packages, a Vulkan driver
	bash launchers/vulkan.sh

.venv/.ready: pyproject.toml constraints.txt launchers/setup.sh
	bash launchers/setup.sh
