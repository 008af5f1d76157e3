#!/usr/bin/env bash
# Makes .venv with the pinned packages. Idempotent: the Makefile calls it only when pyproject.toml or constraints.txt changed.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
  local name
  for name in python3.11 python3.12 python3; do
    command -v "$name" >/dev/null 2>&1 || continue
    "$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && { echo "$name"; return 0; }
  done
  return 1
}

python=$(find_python) || {
  echo "pirig needs Python 3.11 or 3.12 with venv: install python3.11 and python3.11-venv (or the 3.12 pair) and run make again." >&2
  exit 1
}
if [ ! -x .venv/bin/python ]; then
  "$python" -m venv .venv || {
    echo "pirig could not make a virtual environment: install the package $("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')." >&2
    exit 1
  }
fi
extras=sim,wandb,dev
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then extras=$extras,cuda; fi
echo "installing pirig[$extras] into .venv (a few minutes the first time)"
.venv/bin/python -m pip install -q -c constraints.txt -e ".[$extras]"
touch .venv/.ready
