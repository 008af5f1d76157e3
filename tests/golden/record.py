"""Writes a digest of every number that the golden variants give, to show that a change moved no bit.

    python -m tests.golden.record BEFORE.json     at the old commit
    python -m tests.golden.record AFTER.json      at the new one, on the same machine; then: diff BEFORE.json AFTER.json

Of each variant: loss, samples and activations, the former also in bfloat16, and the gradient of every leaf; of pi0 three
training steps, too. Of the sizes that train from nothing: the fresh parameters. Machines differ in the last bit, so digests
compare only with those of the same one. Most of the time goes to XLA's compiler: its flag
--xla_backend_optimization_level=0, given both times, shortens it and shows the same.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pirig.config.schema import ScheduleConfig, TrainConfig
from pirig.models.layout import flatten
from pirig.models.scratch import fresh_params
from pirig.models.sizes import model_config
from pirig.training.schedules import make_schedule
from pirig.training.step import init_state, make_train_step
from tests.golden.check import BF16_PREFIXES
from tests.golden.ours import Ours
from tests.golden.variant import image_size_px, read_arrays, read_batch, read_config, read_params

HERE = Path(__file__).parent
SAID_ALREADY = ("grad", "rng")  # norms of the gradients below, and the loss at other draws
SETTINGS = TrainConfig(steps=10, ema=0.9, shift_px=2, batch_size=2)
SCHEDULE = make_schedule(ScheduleConfig(peak_lr=1e-3, final_lr=1e-4, warmup_steps=2), SETTINGS.steps)


def digest(array: Any) -> str:
    """Type, shape and the first 16 hex digits of the bytes' SHA-256."""
    array = np.ascontiguousarray(array)
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"


def variant_arrays(variant: str) -> Iterator[tuple[str, Any]]:
    inputs = read_arrays(HERE / "data" / "model_inputs.npz")
    config = read_config(HERE / "variants" / f"{variant}.json", image_size_px(inputs))
    params, batch = read_params(HERE / "data" / f"model_{variant}_params.npz", config), read_batch(inputs, config)
    ours = Ours(params, config, batch)
    models = {"": ours} | {prefix: ours.in_bf16(params=half) for prefix, half in BF16_PREFIXES.items()}
    names = np.load(HERE / "data" / f"model_{variant}_outputs.npz").files
    for name in (name for name in names if not name.startswith(SAID_ALREADY)):
        prefix = next((prefix for prefix in BF16_PREFIXES if name.startswith(prefix)), "")
        yield name, models[prefix].value(name.removeprefix(prefix))
    loss = jax.jit(jax.grad(lambda tree: ours._loss(tree, batch, batch.noise, batch.flow_time).mean()))
    yield from ((f"gradient/{path}", leaf) for path, leaf in flatten(loss(params)).items())
    if variant == "pi0_ad32":
        yield from steps(params, config, inputs)


def steps(params: Any, config: Any, inputs: dict[str, np.ndarray]) -> Iterator[tuple[str, Any]]:
    rows = {name: inputs[f"{name}_ad{config.action_dim}"] for name in ("state", "actions")}
    for kind, plural in (("image", "images"), ("image_mask", "image_masks")):
        names = [name for name in inputs if name.startswith(f"{kind}/")]
        rows[plural] = {name.split("/")[1]: inputs[name] for name in names}
    rows |= {"tokens": inputs["tokenized_prompt"], "token_mask": inputs["tokenized_prompt_mask"]}
    state, step = init_state(params, SETTINGS, jax.random.key(3)), make_train_step(config, SETTINGS, SCHEDULE)
    for number in range(3):
        state, metrics = step(state, rows)
        yield from ((f"step{number}/{name}", metrics[name]) for name in ("loss", "grad_norm", "param_norm"))
    for kind in ("params", "ema"):
        yield from ((f"step2/{kind}/{path}", leaf) for path, leaf in flatten(getattr(state, kind)).items())


def fresh(size: str, pi05: bool) -> Iterator[tuple[str, Any]]:
    config = model_config(
        pi05=pi05, size=size, lora=False, action_dim=8, action_horizon=4, max_token_len=32, image_px=128
    )
    yield from flatten(fresh_params(jax.random.key(4), config)).items()


def main() -> None:
    found = {}
    for path in sorted((HERE / "variants").glob("*.json")):
        arrays = ((name, array) for name, array in variant_arrays(path.stem) if array is not None)
        found |= {f"{path.stem}/{name}": digest(array) for name, array in arrays}
        print(f"{path.stem}: done", flush=True)
    for size in ("tiny", "small"):
        for pi05 in (False, True):
            kind = f"fresh/{size}-{'pi05' if pi05 else 'pi0'}"
            found |= {f"{kind}/{path}": digest(leaf) for path, leaf in fresh(size, pi05)}
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    whole = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    print(f"{len(found)} digests, of all of them {whole}: {sys.argv[1]}")


if __name__ == "__main__":
    main()
