"""A checkpoint of random weights in openpi's layout, of any size, written leaf by leaf: what the full size is tried with.

    python -m benchmarks.random_checkpoint FOLDER [--model pi0|pi05] [--size full] [--dtype bfloat16] [--seed 0]
    python -m benchmarks.random_checkpoint FOLDER --load [--finetune lora_light] [--steps 2]

Writes FOLDER/params as openpi does (every leaf's path ends in "value"); weights=local weights.path=FOLDER trains on it. Every
number is drawn with the spread that a fresh model's has, where that would be zero with 0.01, so that the checks of loading
pass and nothing compresses. With --load it is read as a training reads it, in a process whose peak of memory is printed
beside the size of the parameters; with --steps as many training steps follow, of batch 1, one camera and made-up data.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pirig.models.layout import leaf_specs, nest
from pirig.models.leaves import Leaf, Tree
from pirig.models.sizes import SIZES, ModelConfig, model_config
from pirig.runs.hardware import peak_bytes
from pirig.weights.load import ROOT, WRAPPER
from pirig.weights.save import save_params

PIECE = 1 << 24  # numbers drawn of a leaf
PIXELS = {"full": 224}  # of a size; others 128
STD = 0.01  # where a fresh leaf is zero


def config_of(model: str, size: str, *, lora: bool = False) -> ModelConfig:
    full = size == "full"
    tokens = 200 if model == "pi05" else 48
    return model_config(
        pi05=model == "pi05",
        size=size,
        lora=lora,
        action_dim=32 if full else 8,
        action_horizon=50 if full else 16,
        max_token_len=tokens if full else 128,
        image_px=PIXELS.get(size, 128),
        compute_dtype="bfloat16" if full else "float32",
    )


def write(folder: Path, config: ModelConfig, dtype: str, seed: int) -> int:
    """The number of parameters. Orbax writes the tree with a number a leaf, tensorstore then each leaf in its place."""
    import jax.numpy as jnp

    kind, specs = jnp.dtype(dtype), leaf_specs(config)
    save_params(folder / ROOT, nest({path: np.ones((1,) * len(leaf.shape), kind) for path, leaf in specs.items()}))
    for path, leaf in specs.items():
        _replace(folder / ROOT, path, _drawn(path, leaf, kind, seed))
    return sum(math.prod(leaf.shape) for leaf in specs.values())


def _drawn(path: str, leaf: Leaf, kind: np.dtype, seed: int) -> np.ndarray:
    draw, flat = np.random.default_rng([seed, zlib.crc32(path.encode())]), np.empty(math.prod(leaf.shape), kind)
    centre = np.float32(1.0 if leaf.init == "ones" else 0.0)
    numbers = draw.standard_normal(min(PIECE, len(flat)), np.float32) * np.float32(leaf.scale or STD) + centre
    piece = numbers.astype(kind)
    for start in range(0, len(flat), len(piece)):  # again from elsewhere: drawing billions would take minutes
        part = flat[start : start + len(piece)]
        part[:] = np.roll(piece, draw.integers(len(piece)))[: len(part)]
    return flat.reshape(leaf.shape)


def _replace(params: Path, path: str, array: np.ndarray) -> None:
    import tensorstore

    name = ".".join((ROOT, *path.split("/"), WRAPPER)) + "/"
    spec = {
        "driver": "zarr",
        "kvstore": {"driver": "ocdbt", "base": f"file://{params.absolute()}/", "path": name},
        "metadata": {"compressor": {"id": "zstd", "level": 1}, "chunks": list(array.shape)},  # as Orbax: one chunk
        "dtype": array.dtype.name,
    }
    options = {"create": True, "delete_existing": True, "shape": array.shape}
    tensorstore.open(spec, **options).result().write(array).result()


def load(folder: Path, config: ModelConfig, finetune: str) -> tuple[Tree, dict[str, float]]:
    """The parameters as a training holds them; their GB, those of the process's peak, and of what it held before."""
    import jax

    from pirig.models.layout import flatten
    from pirig.training.start import trainable_of
    from pirig.weights.load import on_device, start_from

    mask = trainable_of(config, freeze_vision=finetune == "lora_light")
    trains = dict.fromkeys(leaf_specs(config), True) if mask is None else flatten(mask)
    jax.devices()
    before, started_s = peak_bytes(), time.monotonic()
    kinds = lambda path: "float32" if trains[path] else "bfloat16"  # noqa: E731
    params, _ = start_from(folder, config, jax.random.key(0), kinds, on_device)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    seconds = time.monotonic() - started_s
    figures = {"parameters_gb": size, "before_gb": before, "peak_gb": peak_bytes(), "above_gb": peak_bytes() - size}
    return params, {name: round(value / 1e9, 3) for name, value in figures.items()} | {"seconds": round(seconds, 1)}


def train(params: Tree, config: ModelConfig, finetune: str, count: int) -> Iterator[dict[str, float]]:
    """GB that the compiled step needs, then a row a step: loss, seconds, GB of the process's peak so far."""
    import jax

    from benchmarks.memory import made_up_batch
    from pirig.config.schema import ScheduleConfig, TrainConfig
    from pirig.training.memory import compiled_bytes
    from pirig.training.schedules import make_schedule
    from pirig.training.start import trainable_of
    from pirig.training.step import init_state, make_train_step

    mask, settings = trainable_of(config, freeze_vision=finetune == "lora_light"), TrainConfig(batch_size=1, ema=0.0)
    state, batch = init_state(params, settings, jax.random.key(1), mask), made_up_batch(config)
    started_s = time.monotonic()
    step = make_train_step(config, settings, make_schedule(ScheduleConfig(), 1000), trainable=mask).compiled(
        state, batch
    )
    yield {"compiled_gb": (compiled_bytes(step.program) or 0) / 1e9, "compile_s": time.monotonic() - started_s}
    for number in range(1, count + 1):
        started_s = time.monotonic()
        state, metrics = step(state, batch)
        row = {"step": number, "loss": float(metrics["loss"]), "grad_norm": float(metrics["grad_norm"])}
        yield row | {"seconds": time.monotonic() - started_s, "peak_gb": peak_bytes() / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=("pi0", "pi05"), default="pi0")
    parser.add_argument("--size", choices=tuple(SIZES), default="full")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--finetune", choices=("full", "lora", "lora_light"), default="lora_light")
    parser.add_argument("--steps", type=int, default=0)
    asked = parser.parse_args()
    if asked.load:
        config = config_of(asked.model, asked.size, lora=asked.finetune != "full")
        params, figures = load(asked.folder, config, asked.finetune)
        print(json.dumps(figures), flush=True)
        for row in train(params, config, asked.finetune, asked.steps) if asked.steps else ():
            print(json.dumps({name: round(value, 4) for name, value in row.items()}), flush=True)
        return
    count = write(asked.folder, config_of(asked.model, asked.size), asked.dtype, asked.seed)
    print(f"{count:,} parameters in {asked.folder}; peak of this process {peak_bytes() / 1e9:.2f} GB", file=sys.stderr)


if __name__ == "__main__":
    main()
