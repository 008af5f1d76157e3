"""Faults of weights and of memory: caught while they are read, or before."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import jax
import numpy as np

from pirig.models.layout import flatten, nest
from pirig.policies.policy import load_pipeline
from pirig.runs import hardware
from pirig.training import start
from pirig.weights.load import load_params
from pirig.weights.save import save_params
from tests.faults.faults import fault


def read_with(good: Any, path: str, change: Any) -> None:
    """The good run's weights with one array changed, read again."""
    model = load_pipeline(good.checkpoint).model_config
    flat = {name: np.array(leaf) for name, leaf in flatten(load_params(good.checkpoint, model)).items()}
    change(flat[path])
    with TemporaryDirectory() as folder:
        save_params(Path(folder) / "params", nest(flat))
        load_params(Path(folder), model)


@fault("weights with a NaN in them", "weights", "train", "action_in_proj/kernel are NaN or infinite")
def nan_weights(good: Any, pool: Any) -> None:
    read_with(good, "action_in_proj/kernel", lambda leaf: leaf.__setitem__((0, 0), np.nan))


@fault("weights whose bytes were taken for another type", "weights", "train", r"expected weights below 1e\+06")
def wild_weights(good: Any, pool: Any) -> None:
    read_with(good, "action_in_proj/kernel", lambda leaf: leaf.__imul__(1e12))


@fault("weights with a layer that was not copied", "weights", "train", "layer 1 of .*mlp/linear is zero throughout")
def missing_layer(good: Any, pool: Any) -> None:
    read_with(good, "PaliGemma/llm/layers/mlp/linear", lambda leaf: leaf[1].fill(0))


@fault(
    "a checkpoint whose files changed after it was written", "weights", "eval", "is not what was written: its sha256"
)
def changed_checkpoint(good: Any, pool: Any) -> None:
    with TemporaryDirectory() as folder:
        copy = Path(folder) / good.checkpoint.name
        shutil.copytree(good.checkpoint, copy)
        file = max(
            (path for path in (copy / "params").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
        )
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        load_params(copy)


@fault(
    "a training that the machine has no memory for", "memory", "train", r"needs .* GB per device \(estimated\).* give "
)
def no_room(good: Any, pool: Any) -> None:
    config = dataclasses.replace(good.config, train=dataclasses.replace(good.config.train, ema=0.99, batch_size=32))
    with mock.patch.object(hardware, "available_bytes", lambda: 400_000_000 * jax.local_device_count()):
        start.require_memory(config, good.pipeline.model_config, None, cameras=1, tokens=64)
