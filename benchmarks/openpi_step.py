"""The train step and the 10-step sampling of openpi itself beside ours, in one process, on one device, as a ratio.

    python -m benchmarks.openpi_step [--size small] [--model pi05] [--batch 2] [--repeats 5] [--dtype float32]

Runs in openpi's environment with pirig installed into it (docs/openpi.md), so both sides use the JAX that openpi pins.
openpi's side is its scripts/train.py's init_train_state and train_step, compiled as its main() compiles them, and its
policy's compiled sample_actions, fed as it feeds itself: three float cameras, absent ones black, prompts padded to 48
or 200. Our side is `pirig train`'s step and our policy's sampling on the same observations. Both augment, each in its
own way. Sizes other than full are given to openpi by replacing its variants' numbers. The sides take turns; medians of
wall and of CPU seconds of the process (threads included) are reported. Writes benchmarks/results/openpi-*.json.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import report
from benchmarks.model import NEEDED, PADDED, STEPS, Batch, Trainer, batch_with, sampler
from pirig.models.layout import init_params, param_count
from pirig.models.sizes import SIZES, ModelConfig, model_config
from tests.real_openpi import import_openpi, sized, their_config, their_observation


def their_trainer(openpi: SimpleNamespace, config: ModelConfig, folder: str) -> Callable[[Batch], Any]:
    settings = openpi.config.TrainConfig(
        name="step", exp_name="run", checkpoint_base_dir=folder, model=their_config(openpi, config), wandb_enabled=False
    )
    state, _ = openpi.script.init_train_state(settings, jax.random.key(0), openpi.sharding.make_mesh(1), resume=False)
    step = jax.jit(functools.partial(openpi.script.train_step, settings), donate_argnums=1)
    held, key = [state], jax.random.key(1)

    def run(batch: Batch) -> Any:
        seen = their_observation(openpi, batch, config.max_token_len)
        held[0], info = step(key, held[0], (seen, jnp.asarray(batch["actions"])))
        return info["loss"]

    return run


def their_sampler(openpi: SimpleNamespace, config: ModelConfig, params: Any) -> Callable[[Batch], Any]:
    model = their_config(openpi, config).load(jax.tree.map(lambda leaf: leaf.astype(config.compute_dtype), params))
    sample = openpi.nnx_utils.module_jit(model.sample_actions)
    noise = jax.random.normal(jax.random.key(1), (1, config.action_horizon, config.action_dim))
    return lambda batch: sample(
        jax.random.key(0), their_observation(openpi, batch, config.max_token_len), num_steps=STEPS, noise=noise
    )


def in_turns(ways: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, tuple[float, float]], dict[str, Any]]:
    """Median (wall, CPU) seconds of each way after one uncounted call, and its last result."""
    results = {name: jax.block_until_ready(run()) for name, run in ways.items()}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            results[name] = jax.block_until_ready(run())
            spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: tuple(np.median(rows, axis=0).tolist()) for name, rows in spent.items()}, results  # type: ignore[misc]


def rows_of(kind: str, sides: dict[str, Callable[[Batch], Any]], config: ModelConfig, chosen: Any) -> Iterator[Any]:
    """One row per number of present cameras."""
    needed = NEEDED[chosen.model]
    for present in chosen.cameras:
        batch = batch_with(config, chosen.batch if kind == "train" else 1, present, needed, needed)
        ways = {name: functools.partial(run, batch) for name, run in sides.items()}
        seconds, results = in_turns(ways, chosen.repeats)
        (ours, our_cpu), (theirs, their_cpu) = seconds["pirig"], seconds["openpi"]
        row = {
            "kind": kind, "cameras": present, "pirig_ms": 1e3 * ours, "openpi_ms": 1e3 * theirs, "ratio": theirs / ours,
            "pirig_cpu_ms": 1e3 * our_cpu, "openpi_cpu_ms": 1e3 * their_cpu, "cpu_ratio": their_cpu / our_cpu,
        }  # fmt: skip
        if kind == "sample":
            row["largest_difference"] = float(jnp.abs(results["pirig"] - results["openpi"]).max())
        report.show(row)
        yield row


def measure(openpi: SimpleNamespace, config: ModelConfig, chosen: Any) -> list[Any]:
    init = jax.jit(lambda key: jax.tree.map(lambda leaf: leaf + 0.01, init_params(key, config)))  # no leaf is zero
    rows: list[Any] = []
    resized = sized(openpi, config) if chosen.size != "full" else contextlib.nullcontext()
    with resized, tempfile.TemporaryDirectory() as folder:
        if chosen.only in (None, "train"):
            ours = Trainer(config, init(jax.random.key(0)), augment=True)
            sides = {"pirig": ours, "openpi": their_trainer(openpi, config, folder)}
            rows += rows_of("train", sides, config, chosen)
            del ours, sides
        if chosen.only in (None, "sample"):
            params = init(jax.random.key(0))
            sides = {"pirig": sampler(config, params, 1), "openpi": their_sampler(openpi, config, params)}
            rows += rows_of("sample", sides, config, chosen)
    return rows


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--model", choices=PADDED, default="pi05")
    parser.add_argument("--batch", type=int, default=2, help="of the train step; sampling has one observation")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 3], help="numbers of present cameras")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--only", choices=("train", "sample"), help="one of the two kinds")
    parser.add_argument("--device", default=report.accelerator())
    return parser.parse_args()


def main() -> int:
    chosen = options()
    try:
        openpi = import_openpi()
    except ValueError as error:
        print(f"{error}\ndocs/openpi.md says how to get such an environment.", file=sys.stderr)
        return 2
    config = model_config(
        pi05=chosen.model == "pi05", size=chosen.size, lora=False, action_dim=32, action_horizon=50,
        max_token_len=PADDED[chosen.model], image_px=224, compute_dtype=chosen.dtype,
    )  # fmt: skip
    rows = measure(openpi, config, chosen)
    result = {
        "what": "milliseconds of openpi's own train step and 10-step sampling beside ours; medians, the sides in turns",
        "platform": jax.devices()[0].device_kind,
        "model": chosen.model,
        "size": chosen.size,
        "parameters": param_count(config),
        "dtype": chosen.dtype,
        "train_batch": chosen.batch,
        "prompt_tokens": {"pirig": NEEDED[chosen.model], "openpi": PADDED[chosen.model]},
        "sampling_steps": STEPS,
        "repeats": chosen.repeats,
        "rows": rows,
    }
    report.write("openpi", chosen.device, result, ("jax", "jaxlib", "flax", "numpy", "optax"), openpi=_commit(openpi))
    return 0


def _commit(openpi: SimpleNamespace) -> str:
    import subprocess

    folder = Path(openpi.script.__file__).parent
    found = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
