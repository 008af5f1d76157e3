"""The run folder: what was asked, by which code, where it stands. Nothing of an older run is deleted unasked."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from pirig.config.places import Places
from pirig.config.schema import Config, Mode, as_plain
from pirig.files.atomic import move_aside, write_text
from pirig.runs.lock import require_free

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
SNAPSHOT_FILE = "snapshot.json"  # at the root of a copy of the code (pirig.sweeps.snapshot)
RESULT_FREE = (
    "run",
    "eval",
    "gates",
    "sweep",
    "demos.workers",
    "scenes.workers",
    "task.turns",  # what a training takes from them stands under its losses and its tower
    "task.unseen",
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
)


def training_slice(config: Config) -> dict[str, Any]:
    """The part of the config that a trained checkpoint depends on."""
    return _training_part(as_plain(config))


def open_run(config: Config, places: Places) -> Path:
    """Creates or re-enters the run folder by `run.mode`. Raises ValueError naming the remedy where it may not."""
    folder = places.run
    if folder.exists():
        require_free(folder)
        _enter_existing(folder, config)
    if not folder.exists():
        folder.mkdir(parents=True)
    write_text(folder / "config.yaml", yaml.safe_dump(as_plain(config), sort_keys=False))
    write_text(folder / "contract.json", places.contract.to_json() + "\n")
    write_text(folder / "environment.json", json.dumps(environment(), indent=2) + "\n")
    return folder


def _enter_existing(folder: Path, config: Config) -> None:
    mode = config.run.mode
    if mode == Mode.error:
        raise ValueError(
            f"{folder} exists: run.mode=resume goes on with it, run.mode=overwrite moves it aside, run.name=... starts another."
        )
    if mode == Mode.overwrite:
        print(f"moved the older run to {move_aside(folder)}")
        return
    saved = folder / "config.yaml"
    if saved.is_file():
        changed = _changed(_training_part(_saved_config(saved)), training_slice(config))
        if changed:
            raise ValueError(
                f"{folder} was made with other settings, so it cannot be resumed:\n  "
                + "\n  ".join(changed)
                + "\nGive the old values, or run.name=... for a new run, or run.mode=overwrite."
            )


def _saved_config(path: Path) -> dict[str, Any]:
    """The config that a run was made with; keys that are younger than the run have their defaults."""
    from omegaconf import OmegaConf

    from pirig.config import texts
    from pirig.config.aliases import current

    defaults = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(Config)))
    saved = current(OmegaConf.to_container(texts.load(path)))  # type: ignore[arg-type]
    return OmegaConf.to_container(OmegaConf.merge(defaults, saved))  # type: ignore[return-value]


def _training_part(plain: dict[str, Any]) -> dict[str, Any]:
    for dotted in RESULT_FREE:
        node = plain
        *parents, last = dotted.split(".")
        for parent in parents:
            node = node.get(parent, {})
        node.pop(last, None)
    return plain


def _changed(old: Any, new: Any, prefix: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(new) + [key for key in old if key not in new]
        return [line for key in keys for line in _changed(old.get(key), new.get(key), f"{prefix}{key}.")]
    return [] if old == new else [f"{prefix.rstrip('.')}: {old!r} then, {new!r} now"]


def set_status(folder: Path, stage: str, state: str, **details: Any) -> None:
    """`state` is running, done or failed."""
    entry = {
        "stage": stage,
        "state": state,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "pid": os.getpid(),
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
