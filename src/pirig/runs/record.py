"""The run folder: what was asked, by which code, where it stands. Nothing of an older run is deleted unasked."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pirig.config.places import CHECKPOINTS, Places
from pirig.config.plain import as_plain
from pirig.config.schema import Config, Mode
from pirig.files.atomic import clear_leftovers, move_aside_inside, write_text
from pirig.runs.lock import FILE_NAME, held
from pirig.runs.progress import read_status, steps_saved

VERSIONED = (
    "pirig",
    "jax",
    "jaxlib",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "mani-skill",
    "torch",
    "pyarrow",
    "hydra-core",
)
VARIABLES = (  # of the environment, by how they begin: they change speed, memory, numbers or pictures; no key or token
    "XLA_", "JAX_", "LIBTPU_", "TF_GPU_", "TF_FORCE_GPU_", "CUDA_", "NVIDIA_", "NCCL_", "OMP_", "MKL_", "OPENBLAS_", "MALLOC_",
    "VK_", "MUJOCO_", "PYOPENGL_", "EGL_", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHASHSEED",
    "PIRIG_CACHE", "HF_HOME", "HF_HUB_OFFLINE", "MS_ASSET_DIR",
    "SLURM_JOB_ID", "SLURM_ARRAY_", "SLURM_NTASKS", "SLURM_CPUS_", "SLURM_MEM_", "SLURM_GPUS",
)  # fmt: skip
SNAPSHOT_FILE = "snapshot.json"  # at the root of a copy of the code (pirig.sweeps.snapshot)
# a training has them under its losses and tower, or in its contract; the last only `pirig diagnose` reads
OF_A_TASK = ("turns", "unseen", "alike", "points", "clearance_mm")
RESULT_FREE = (
    "run",
    "serve",
    "eval",
    "gates",
    "sweep",
    "improve",
    "rollouts",
    "demos.workers",
    "scenes.workers",
    *(f"task.{name}" for name in OF_A_TASK),
    "weights.url",
    "train.wandb",
    "train.project",
    "train.log_every",
    "train.save_every",
    "train.keep_every",
    "train.validate_every",
    "train.validation_frames",
    "train.memory_limit_gb",
    "train.memory_fraction",
    "train.preallocate",
    "train.allocator",
)


PATHS = (
    "demos.path",
    "weights.path",
    "dataset.path",
    "train.sample_weights",
)  # spelled in many ways; what lies there is asked instead


def training_slice(config: Config) -> dict[str, Any]:
    """The part of the config that a trained checkpoint depends on."""
    return _training_part(as_plain(config))


def open_run(config: Config, places: Places) -> Path:
    """Creates or re-enters the run folder by `run.mode`, which nobody else writes meanwhile: hold its lock around it.

    Raises ValueError naming the remedy where it may not be entered; then nothing was moved or written.
    """
    folder = places.run
    with held(folder):
        for written in (folder, folder / CHECKPOINTS):
            clear_leftovers(written)
        if is_there(folder):
            _enter_existing(folder, config)
        write_text(folder / "config.yaml", yaml.safe_dump(as_plain(config), sort_keys=False))
        write_text(folder / "contract.json", places.contract.to_json() + "\n")
        write_text(folder / "environment.json", json.dumps(environment(), indent=2) + "\n")
    return folder


def is_there(folder: Path) -> bool:
    """Whether a run's folder holds more than a lock."""
    return folder.is_dir() and any(not path.name.startswith(FILE_NAME) for path in folder.iterdir())


@contextmanager
def recorded(folder: Path, stage: str) -> Iterator[None]:
    """The run's status says failed, and why, or stopped, where the block ends by an error or a signal."""
    try:
        yield
    except KeyboardInterrupt as error:
        set_status(folder, stage, "stopped", by=str(error) or "SIGINT")
        raise
    except Exception as error:
        set_status(folder, stage, "failed", error=f"{type(error).__name__}: {error}")
        raise


def _made_nothing(folder: Path) -> bool:
    """It began and ended without a checkpoint: whatever it was asked for, it blocks nothing."""
    return bool(read_status(folder)) and not steps_saved(folder)


def _enter_existing(folder: Path, config: Config) -> None:
    mode = config.run.mode
    if mode == Mode.overwrite:
        print(f"moved the older run to {move_aside_inside(folder, FILE_NAME)}")
        return
    if _made_nothing(folder):
        print(f"{folder}: the run there ended without a checkpoint; it is begun again")
        return
    if mode == Mode.error:
        raise ValueError(
            f"{folder} exists: run.mode=resume goes on with it, run.mode=overwrite moves it aside, run.name=... starts another."
        )
    require_same_settings(folder, config)


def require_same_settings(folder: Path, config: Config) -> None:
    """Raises ValueError, with both values of each, where a run is resumed by other settings than it was made with."""
    if changed := changes(folder, config):
        raise ValueError(
            f"{folder} was made with other settings, so it cannot be resumed:\n  "
            + "\n  ".join(changed)
            + "\nGive the old values, or run.name=... for a new run, or run.mode=overwrite."
        )


def changes(folder: Path, config: Config) -> list[str]:
    """What of a run's training settings is otherwise in `config`, with both values; [] where the folder has no config."""
    saved = folder / "config.yaml"
    return _changed(_training_part(_saved_config(saved)), training_slice(config)) if saved.is_file() else []


def _saved_config(path: Path) -> dict[str, Any]:
    """The config that a run was made with; keys that are younger than the run have their defaults."""
    from omegaconf import OmegaConf

    from pirig.config.aliases import current
    from pirig.config.load import plain_of_run

    defaults = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(Config)))
    saved = current(plain_of_run(path.parent))
    return OmegaConf.to_container(OmegaConf.merge(defaults, saved))  # type: ignore[return-value]


def _training_part(plain: dict[str, Any]) -> dict[str, Any]:
    for dotted in RESULT_FREE:
        node = plain
        *parents, last = dotted.split(".")
        for parent in parents:
            node = node.get(parent, {})
        node.pop(last, None)
    for source in ((plain.get("mix") or {}).get("sources") or {}).values():
        for name in OF_A_TASK:
            source.get("task", {}).pop(name, None)
    return plain


def _changed(old: Any, new: Any, prefix: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(new) + [key for key in old if key not in new]
        return [line for key in keys for line in _changed(old.get(key), new.get(key), f"{prefix}{key}.")]
    if prefix.rstrip(".") in PATHS and old and new:
        return []
    return [] if old == new else [f"{prefix.rstrip('.')}: {old!r} then, {new!r} now"]


def set_status(folder: Path, stage: str, state: str, **details: Any) -> None:
    """`state` is running, done, stopped (by a signal) or failed."""
    entry = {
        "stage": stage,
        "state": state,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        **details,
    }
    write_text(folder / "status.json", json.dumps(entry, indent=2) + "\n")


def environment() -> dict[str, Any]:
    versions = {}
    for name in VERSIONED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
        "code": code_version(),
    }


def code_version() -> dict[str, str]:
    """The commit that this package runs from and whether files differ from it; empty outside a checkout.

    A copy of the code that a sweep's jobs run says what it was copied from, and where it lies.
    """
    root = Path(__file__).resolve().parents[3]
    if (root / SNAPSHOT_FILE).is_file():
        return json.loads((root / SNAPSHOT_FILE).read_text())
    if not (root / ".git").exists():
        return {}
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout.strip()
    return {"commit": commit, "changed": changed}
