"""The estimate of a training's memory beside what XLA's compiled step needs, at sizes between small and full.

    python -m benchmarks.memory [--parts 4 2] [--finetune full lora lora_light] [--batch 1] [--cameras 1]

`--parts 4`: the full size with every width a quarter as large, its depths as they are; 1 is the full size itself. Nothing is
allocated: the step is compiled for shapes. Code is generated without optimisation, which comes after the buffers are laid
out: their sizes are those of a training. Writes benchmarks/results/memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from typing import Any

CHEAP = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {CHEAP}"  # before JAX starts

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks import report  # noqa: E402
from pirig.config.schema import ScheduleConfig, TrainConfig  # noqa: E402
from pirig.files.atomic import write_text  # noqa: E402
from pirig.models.layout import flatten, nest, param_count, param_shapes  # noqa: E402
from pirig.models.sizes import ModelConfig, TransformerConfig, model_config  # noqa: E402
from pirig.training.flops import Shape  # noqa: E402
from pirig.training.memory import GB, compiled_bytes, estimate  # noqa: E402
from pirig.training.schedules import make_schedule  # noqa: E402
from pirig.training.start import trainable_of  # noqa: E402
from pirig.training.step import init_state, make_train_step  # noqa: E402

TOKENS, HORIZON = 16, 50
ROLES = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")


def between(parts: int, *, lora: bool) -> ModelConfig:
    """pi0 at the full size with its widths divided by `parts`; heads keep their number, tokens theirs."""
    full = model_config(
        pi05=False, size="full", lora=lora, action_dim=32, action_horizon=HORIZON, max_token_len=48,
        image_px=224, compute_dtype="bfloat16",
    )  # fmt: skip

    def narrow(stack: TransformerConfig) -> TransformerConfig:
        width, mlp, head = (size // parts for size in (stack.width, stack.mlp_dim, stack.head_dim))
        return replace(stack, width=width, mlp_dim=mlp, head_dim=head)

    image: Any = full.image
    heads = image.num_heads
    image = replace(image, width=image.width // parts // heads * heads, mlp_dim=image.mlp_dim // parts)
    return replace(
        full, image=image, vlm=narrow(full.vlm), expert=narrow(full.expert), vocab_size=full.vocab_size // parts
    )


def measured(config: ModelConfig, finetune: str, batch_size: int, cameras: int) -> dict[str, Any]:
    mask = trainable_of(config, freeze_vision=finetune == "lora_light")
    trains = None if mask is None else flatten(mask)
    kinds = {
        path: jnp.float32 if trains is None or trains[path] else jnp.bfloat16 for path in flatten(param_shapes(config))
    }
    shapes = {
        path: jax.ShapeDtypeStruct(leaf.shape, kinds[path]) for path, leaf in flatten(param_shapes(config)).items()
    }
    settings = TrainConfig(batch_size=batch_size, ema=0.0)
    state = jax.eval_shape(lambda params: init_state(params, settings, jax.random.key(0), mask), nest(shapes))
    step = make_train_step(config, settings, make_schedule(ScheduleConfig(), 1000), trainable=mask)
    compiled = step.compiled(state, _batch(config, batch_size, cameras)).program
    needs, need = estimate(config, settings, Shape(cameras, TOKENS), trainable=mask), compiled_bytes(compiled)
    assert need is not None
    return {
        "parameters_b": round(param_count(config) / 1e9, 3),
        "finetune": finetune,
        "batch_size": batch_size,
        "cameras": cameras,
        "estimate_gb": round(needs.step / GB, 3),
        "compiled_gb": round(need / GB, 3),
        "arguments_gb": round(compiled.memory_analysis().argument_size_in_bytes / GB, 3),
        "off": round(needs.step / need - 1, 3),
    }


def _batch(config: ModelConfig, rows: int, cameras: int) -> dict[str, Any]:
    of, px = jax.ShapeDtypeStruct, config.image.image_px
    return {
        "images": {role: of((rows, px, px, 3), jnp.uint8) for role in ROLES[:cameras]},
        "image_masks": {role: of((rows,), jnp.bool_) for role in ROLES[:cameras]},
        "state": of((rows, config.action_dim), jnp.float32),
        "tokens": of((rows, TOKENS), jnp.int32),
        "token_mask": of((rows, TOKENS), jnp.bool_),
        "actions": of((rows, HORIZON, config.action_dim), jnp.float32),
    }


def made_up_batch(config: ModelConfig) -> dict[str, Any]:
    """One row of numbers for `_batch`'s shapes."""
    draw = np.random.default_rng(0)

    def filled(path: tuple, of: Any) -> np.ndarray:
        if of.dtype == bool:
            return np.ones(of.shape, bool)
        return (draw.integers(0, 200, of.shape) if of.dtype.kind in "iu" else draw.normal(size=of.shape)).astype(
            of.dtype
        )

    return jax.tree_util.tree_map_with_path(filled, _batch(config, 1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, nargs="+", default=[4, 2])
    parser.add_argument("--finetune", nargs="+", default=["full", "lora", "lora_light"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--cameras", type=int, default=1)
    asked = parser.parse_args()
    file = report.RESULTS / "memory.json"
    known = json.loads(file.read_text())["rows"] if file.is_file() else []
    for parts in asked.parts:
        for finetune in asked.finetune:
            row = measured(between(parts, lora=finetune != "full"), finetune, asked.batch, asked.cameras)
            report.show(row)
            same = ("parameters_b", "finetune", "batch_size", "cameras")
            known = [other for other in known if any(other[key] != row[key] for key in same)] + [row]
            about = {"device": report.MACHINE, "jax": jax.__version__}
            what = "estimate of a training's memory (training/memory.py) beside XLA's compiled step"
            write_text(file, json.dumps({"what": what, **about, "rows": known}, indent=1) + "\n")


if __name__ == "__main__":
    main()
