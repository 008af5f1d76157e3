#!/usr/bin/env bash
# Makes build/openpi: a venv with what a clone of openpi pins (its uv.lock), that clone, and pirig. Idempotent.
#   OPENPI=CLONE launchers/openpi.sh      LEROBOT=... : another source of the LeRobot that openpi pins
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -f "${OPENPI:-}/src/openpi/models/pi0.py" ]; then
  echo "OPENPI=${OPENPI:-}: expected a clone of openpi, found none. Once:" >&2
  echo "  git clone https://github.com/Physical-Intelligence/openpi && OPENPI=\$PWD/openpi make test-openpi" >&2
  exit 1
fi
venv=build/openpi
ready="$venv/.ready-$(git -C "$OPENPI" rev-parse --short HEAD 2>/dev/null || echo clone)-$(cksum <launchers/openpi.sh | cut -d' ' -f1)"
if [ -f "$ready" ]; then exit 0; fi
command -v python3.11 >/dev/null || { echo "openpi's pins need python3.11; install it and run this again." >&2; exit 1; }
python3.11 -m venv "$venv"
python3.11 - "$OPENPI/uv.lock" >"$venv/pins.txt" <<'PINS'
import sys, tomllib
from collections import defaultdict

versions = defaultdict(list)
for package in tomllib.load(open(sys.argv[1], "rb"))["package"]:
    if "registry" in package["source"]:
        versions[package["name"]].append(package["version"])
print("\n".join(f"{name}=={only[0]}" for name, only in versions.items() if len(only) == 1))  # several: per platform
PINS
jax=jax
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then jax='jax[cuda12]'; fi
pip=("$venv/bin/python" -m pip install -q)
echo "installing what openpi pins into $venv (torch alone is 3 GB)"
"${pip[@]}" -c "$venv/pins.txt" "$jax" flax orbax-checkpoint optax chex ml-dtypes tensorstore numpy jaxtyping beartype ml_collections \
  augmax einops equinox treescope dm-tree torch torchvision transformers sentencepiece pillow opencv-python-headless imageio \
  numpydantic polars flatbuffers tyro rich tqdm-loggable wandb fsspec gcsfs msgpack websockets prometheus-client datasets pandas pyarrow \
  jsonlines draccus termcolor deepdiff h5py matplotlib av filelock pytest 'hydra-core>=1.3.2,<1.4' 'submitit>=1.5.2,<2'
"${pip[@]}" --no-deps "${LEROBOT:-git+https://github.com/huggingface/lerobot@0cf864870cf29f4738d3ade893e6fd13fbd7cdb5}"
"${pip[@]}" --no-deps -e "$OPENPI/packages/openpi-client" -e "$OPENPI" -e .
touch "$ready"
