"""Train step and 10-step sampling with the exact shortcuts on against off, for 1, 2 and 3 present cameras in one run.

    python -m benchmarks.model [--size small] [--model pi05] [--batch 2] [--repeats 3] [--dtype float32] [--device NAME]

Off is openpi's way: absent cameras are black float images that are encoded and masked, and the prompt is padded to 48
(pi0) or 200 (pi0.5) tokens. On: only present cameras, as uint8, and the prompt padded to --needed-tokens. Both run the
same compiled functions on the same parameters in turns; compilation is not counted. A median of the repeats is
reported, and the largest difference of the sampled actions. Writes benchmarks/results/model-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import report
from pirig.config.schema import ScheduleConfig, TrainConfig
from pirig.models import pi0
from pirig.models.layout import param_count
from pirig.models.sizes import SIZES, ModelConfig, model_config
from pirig.training.schedules import make_schedule
from pirig.training.step import init_state, make_train_step

CAMERAS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
PADDED = {"pi0": 48, "pi05": 200}  # openpi's max_token_len
NEEDED = {"pi0": 16, "pi05": 64}  # a short sentence; for pi0.5 with the digits of 8 to 10 state numbers
STEPS = 10
Batch = dict[str, Any]


def batch_with(config: ModelConfig, rows: int, present: int, tokens: int, needed: int) -> Batch:
    """A batch whose prompt has `needed` valid tokens of `tokens`, and only its `present` cameras, uint8."""
    draw = np.random.default_rng(0)
    size = (rows, config.image.image_px, config.image.image_px, 3)
    text = np.zeros((rows, tokens), np.int32)
    text[:, :needed] = draw.integers(1, config.vocab_size, (rows, needed))
    return {
        "images": {name: draw.integers(0, 256, size, dtype=np.uint8) for name in CAMERAS[:present]},
        "image_masks": {name: np.ones(rows, bool) for name in CAMERAS[:present]},
        "state": draw.normal(size=(rows, config.action_dim)).astype(np.float32),
        "tokens": text,
        "token_mask": np.arange(tokens)[None] < np.full((rows, 1), needed),
        "actions": draw.normal(size=(rows, config.action_horizon, config.action_dim)).astype(np.float32),
    }


def as_openpi(batch: Batch, tokens: int) -> Batch:
    """The same batch with float images, black ones for absent cameras, and the prompt padded to `tokens`."""
    some = next(iter(batch["images"].values()))
    images = {name: image.astype(np.float32) / 255 * 2 - 1 for name, image in batch["images"].items()}
    black = np.full(some.shape, -1, np.float32)
    pad = ((0, 0), (0, tokens - batch["tokens"].shape[1]))
    return batch | {
        "images": {name: images.get(name, black) for name in CAMERAS},
        "image_masks": {name: np.full(len(some), name in images) for name in CAMERAS},
        "tokens": np.pad(batch["tokens"], pad),
        "token_mask": np.pad(batch["token_mask"], pad),
    }


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = jax.block_until_ready(run())
    return time.perf_counter() - start, result


def compare(ways: dict[str, Callable[[], Any]], repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Median seconds of each way, run in turns after one uncounted call, and its last result."""
    for run in ways.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for _ in range(repeats):
        for name, run in ways.items():
            spent, results[name] = timed(run)
            seconds[name].append(spent)
    return {name: float(np.median(spent)) for name, spent in seconds.items()}, results


class Trainer:
    """Steps a state that the compiled step donates."""

    def __init__(self, config: ModelConfig, params: Any, *, augment: bool = False):
        settings = TrainConfig(augment=augment)
        self.state = init_state(params, settings, jax.random.key(0))
        self._step = make_train_step(config, settings, make_schedule(ScheduleConfig(), settings.steps))

    def __call__(self, batch: Batch) -> Any:
        self.state, metrics = self._step(self.state, batch)
        return metrics["loss"]


def sampler(config: ModelConfig, params: Any, rows: int) -> Callable[[Batch], jax.Array]:
    """Batch -> actions [B, A, J] in the compute dtype's parameters, as serving holds them."""
    params = jax.tree.map(lambda leaf: leaf.astype(config.compute_dtype), params)
    noise = jax.random.normal(jax.random.key(1), (rows, config.action_horizon, config.action_dim))

    @jax.jit
    def run(params: Any, inputs: pi0.ModelInputs) -> jax.Array:
        return pi0.sample_actions(params, config, inputs, noise=noise, steps=STEPS)

    return lambda batch: run(params, pi0.ModelInputs(**{name: batch[name] for name in pi0.ModelInputs._fields}))


def measure(kind: str, run: Callable[[Batch], Any], batches: dict[int, Batch], padded: int, repeats: int) -> list[Any]:
    """One row per number of present cameras."""
    rows = []
    for present, batch in batches.items():
        other = as_openpi(batch, padded)
        ways = {"on": lambda batch=batch: run(batch), "off": lambda batch=other: run(batch)}
        seconds, results = compare(ways, repeats)
        row = {"kind": kind, "cameras": present, "on_ms": 1e3 * seconds["on"], "off_ms": 1e3 * seconds["off"]}
        row["ratio"] = row["off_ms"] / row["on_ms"]
        if kind == "sample":
            row["largest_difference"] = float(jnp.abs(results["on"] - results["off"]).max())
        rows.append(row)
        report.show(row)
    return rows


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--model", choices=PADDED, default="pi05")
    parser.add_argument("--batch", type=int, default=2, help="of the train step; sampling has one observation")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--needed-tokens", type=int, help="the prompt's own length; 16 for pi0, 64 for pi0.5")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--only", choices=("train", "sample"), help="one of the two kinds")
    parser.add_argument("--device", default=report.accelerator())
    return parser.parse_args()


def main() -> None:
    chosen = options()
    padded, needed = PADDED[chosen.model], chosen.needed_tokens or NEEDED[chosen.model]
    config = model_config(
        pi05=chosen.model == "pi05", size=chosen.size, lora=False, action_dim=32, action_horizon=50,
        max_token_len=padded, image_px=224, compute_dtype=chosen.dtype,
    )  # fmt: skip
    init = jax.jit(lambda key: jax.tree.map(lambda leaf: leaf + 0.01, pi0.init_params(key, config)))  # no leaf is zero
    rows: list[Any] = []
    makers = {"train": lambda: Trainer(config, init(jax.random.key(0))),
              "sample": lambda: sampler(config, init(jax.random.key(0)), 1)}  # fmt: skip
    for kind, make in makers.items():
        if chosen.only in (None, kind):
            count = chosen.batch if kind == "train" else 1
            batches = {present: batch_with(config, count, present, needed, needed) for present in (1, 2, 3)}
            rows += measure(kind, make(), batches, padded, chosen.repeats)
    result = {
        "what": "milliseconds with the exact shortcuts on and off (openpi's padding); median of the repeats, in turns",
        "platform": jax.devices()[0].device_kind,
        "model": chosen.model,
        "size": chosen.size,
        "parameters": param_count(config),
        "dtype": chosen.dtype,
        "train_batch": chosen.batch,
        "tokens_per_camera": config.image.tokens,
        "prompt_tokens": {"on": needed, "off": padded},
        "sampling_steps": STEPS,
        "repeats": chosen.repeats,
        "rows": rows,
    }
    report.write("model", chosen.device, result, ("jax", "jaxlib", "numpy", "optax"))


if __name__ == "__main__":
    main()
