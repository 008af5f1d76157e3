"""CPU time of a sample's way through each vision tower, forward and with its gradient, in turns in one run.

    python -m benchmarks.towers [--size tiny] [--image-px 128] [--batch 32] [--repeats 5] [--set channels=48]

Process time of all threads, so that other work on the machine counts little; compilation is not counted. A median of the
repeats. Writes benchmarks/results/towers-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import report
from pirig.models.leaves import draw, nest
from pirig.models.sizes import SIZES
from pirig.models.towers.door import known, tower_named


def ways(name: str, options: argparse.Namespace, settings: dict[str, int]) -> dict[str, Any]:
    """Compiled calls by kind."""
    tower, width = tower_named(name), SIZES[options.size].vlm.width
    config = tower.sized(options.size, options.image_px, None, settings)
    specs = tower.leaves(config, width)
    params = nest({path: draw(jax.random.key(0), path, leaf) for path, leaf in specs.items()})
    params = tower.fresh(jax.random.key(1), config, params)
    size = (options.batch, options.image_px, options.image_px, 3)
    images = {"base_0_rgb": jnp.asarray(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8))}

    def total(params: Any, images: Any) -> jax.Array:
        return jnp.square(tower.encode(params, config, images, dtype=jnp.float32, remat=False)).mean()

    forward, gradient = jax.jit(total), jax.jit(jax.grad(total))
    return {"forward": lambda: forward(params, images), "gradient": lambda: gradient(params, images)}


def cpu_ms(call: Any) -> float:
    start_s = time.process_time()
    jax.block_until_ready(call())
    return 1e3 * (time.process_time() - start_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--image-px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[], help="settings of tower=keypoints, such as channels=48")
    parser.add_argument("--device", default=report.accelerator())
    options = parser.parse_args()
    settings = {key: int(value) for key, value in (word.split("=") for word in options.set)}
    calls = {name: ways(name, options, settings if name == "keypoints" else {}) for name in known()}
    for kinds in calls.values():
        for call in kinds.values():
            cpu_ms(call)
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.repeats):
        for name, kinds in calls.items():
            for kind, call in kinds.items():
                spent.setdefault((name, kind), []).append(cpu_ms(call) / options.batch)
    rows = [{"tower": name, "kind": kind, "cpu_ms": float(np.median(ms))} for (name, kind), ms in spent.items()]
    for row in rows:
        report.show(row)
    chosen = {key: value for key, value in vars(options).items() if key != "device"}
    what = "CPU milliseconds of a sample through a vision tower; median of the repeats, in turns"
    report.write("towers", options.device, {"what": what, **chosen, "rows": rows}, ("jax", "jaxlib", "numpy"))


if __name__ == "__main__":
    main()
