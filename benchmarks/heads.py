"""What a look costs with a head in the policy's place, or beside it, as a share of the policy's own.

    python -m benchmarks.heads RUN [--looks 200] [--execute 8] [--device NAME]

CPU time of one observation at a time, all threads together, the ways to act in turn at every look; the networks are as
improve.use=fql and improve.use=residual make them, and have not learned, which costs the same. Best of 4 beside them. Writes
benchmarks/results/heads-<device>-<date>.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import report
from pirig.config.critic import CriticConfig, HeadConfig
from pirig.config.load import of_run
from pirig.contract import Contract
from pirig.models.critic.heads import Head, init_head
from pirig.models.critic.learned import Critic
from pirig.models.critic.network import Scale, init_critic
from pirig.policies.best_of import BestOf
from pirig.policies.foresight import Foresight
from pirig.policies.headed import Headed, OneStep
from pirig.policies.layouts import blank
from pirig.policies.policy import Policy, load_policy
from pirig.runs.progress import newest_checkpoint


def look(contract: Contract) -> tuple[dict[str, np.ndarray], np.ndarray]:
    shown = blank(contract)
    return {role: image[None] for role, image in shown.images.items()}, shown.state[None]


def ways(policy: Policy, execute: int) -> dict[str, Policy]:
    contract = policy.pipeline.contract
    seen = Foresight(policy).seen(policy.model_inputs(*look(contract)))
    inputs, chunk = sum(part.shape[1] for part in seen), (execute, contract.action_dim)
    scale, key = Scale(jnp.zeros(inputs), jnp.ones(inputs)), jax.random.key(0)

    def head(shown: tuple[int, int], bound: float) -> Head:
        return Head(init_head(key, scale, shown, chunk, HeadConfig().widths), scale, chunk, bound)

    critic = Critic(init_critic(key, inputs, chunk, CriticConfig().widths), scale, chunk)
    one_step = head(policy.noise_shape, 0.0)
    return {
        "policy": policy,
        "one-step head": OneStep(policy, one_step),
        "one-step head, the policy's steps behind it": Headed(policy, one_step),
        "residual": Headed(policy, head(chunk, 0.2)),
        "best of 4": BestOf(policy, critic, 4),
    }


def measured(acting: dict[str, Policy], looks: int) -> list[dict[str, Any]]:
    shape, contract = acting["policy"].noise_shape, acting["policy"].pipeline.contract
    spent: dict[str, list[float]] = {name: [] for name in acting}
    for number in range(looks + 3):
        noise = np.random.default_rng(number).standard_normal((1, *shape), np.float32)
        for name, policy in acting.items():
            started_s = time.process_time()
            policy.predict(*look(contract), noise)
            spent[name].append(1000 * (time.process_time() - started_s))
    medians = {name: median(times[3:]) for name, times in spent.items()}  # the first ones compile
    return [{"way": name, "cpu_ms": ms, "of_policy": ms / medians["policy"]} for name, ms in medians.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--looks", type=int, default=200)
    parser.add_argument("--execute", type=int, default=8)
    parser.add_argument("--device", default=report.MACHINE)
    options = parser.parse_args()
    config, checkpoint = of_run(options.run, []), newest_checkpoint(options.run)
    assert checkpoint is not None, f"{options.run} has no checkpoint"
    policy = load_policy(checkpoint, flow_steps=config.eval.flow_steps, batch_size=1)
    rows = measured(ways(policy, options.execute), options.looks)
    for row in rows:
        report.show(row)
    settings = {"flow_steps": config.eval.flow_steps, "size": config.size.name, "execute": options.execute}
    what = "CPU milliseconds of one look (median), and as a share of the policy's"
    found = {"what": what, "run": options.run.name, "settings": settings | {"looks": options.looks}, "rows": rows}
    report.write("heads", options.device, found, ("jax", "numpy"))


if __name__ == "__main__":
    main()
