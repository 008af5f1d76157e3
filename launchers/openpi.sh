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
ready="$venv/.ready-$(git -C "$OPENPI" rev-parse --short HEAD 2>/dev/null || echo clone)"
if [ -f "$ready" ]; then exit 0; fi
command -v python3.11 >/dev/null || { echo "openpi's pins need python3.11; install it and run this again." >&2; exit 1; }
python3.11 -m venv "$venv"
jax=jax==0.5.3
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then jax='jax[cuda12]==0.5.3'; fi
pip=("$venv/bin/python" -m pip install -q)
echo "installing what openpi pins into $venv (torch alone is 3 GB)"
"${pip[@]}" "$jax" jaxlib==0.5.3 flax==0.10.2 orbax-checkpoint==0.11.13 optax==0.2.4 chex==0.1.90 ml-dtypes==0.4.1 tensorstore==0.1.74 \
  'numpy<2' jaxtyping==0.2.36 beartype==0.19.0 ml_collections==1.0.0 augmax==0.4.1 einops equinox treescope dm-tree \
  torch==2.7.1 torchvision==0.22.1 transformers==4.53.2 sentencepiece pillow 'opencv-python-headless<4.12' imageio \
  'numpydantic>=1.6.6' polars flatbuffers tyro 'rich>=14' tqdm-loggable wandb fsspec gcsfs msgpack websockets \
  'datasets<4' 'pandas<3' 'pyarrow<26' jsonlines draccus termcolor deepdiff \
  h5py 'hydra-core>=1.3.2,<1.4' matplotlib av filelock 'submitit>=1.5.2,<2' pytest
"${pip[@]}" --no-deps "${LEROBOT:-git+https://github.com/huggingface/lerobot@0cf864870cf29f4738d3ade893e6fd13fbd7cdb5}"
"${pip[@]}" --no-deps -e "$OPENPI/packages/openpi-client" -e "$OPENPI" -e .
touch "$ready"
