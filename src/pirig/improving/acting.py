"""The run's own policy in scenes of its own: where it can be rolled out, for how long, and its episodes there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pirig.config.measuring import MEASURED
from pirig.evaluation.drivers import PolicyDriver
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.rollouts import roll_out
from pirig.evaluation.target import target_of
from pirig.evaluation.workers import WorkerPool
from pirig.improving.door import Policy
from pirig.policies.best_of import chosen_by_critic
from pirig.policies.card import PolicyCard
from pirig.policies.policy import Policy as Acting
from pirig.policies.policy import load_policy
from pirig.sim.door import in_groups, unavailable


def require_acts(policy: Policy, who: str, instead: str) -> None:
    """Raises ValueError where no simulator of one task runs this policy. `who` asks; `instead`: what else there is, of an arm
    that is not simulated."""
    config, contract = policy.config, policy.places.contract
    if config.mix is not None:
        raise ValueError(
            f"mix={config.mix.name}: {who} is made for one task; take a run of one (task=NAME), or train the mix longer."
        )
    if not config.robot.simulated:
        raise ValueError(
            f"robot={config.robot.name}: {unavailable(contract)}, so no policy can be rolled out; {instead}."
        )
    if missing := unavailable(contract):
        raise ValueError(f"{who} rolls the policy out, and {missing}.")
    if config.eval.server or config.eval.delay == MEASURED:
        key = f"eval.server={config.eval.server}" if config.eval.server else f"eval.delay={MEASURED}"
        raise ValueError(
            f"{key}: the run's own checkpoint is rolled out, and what comes late is a number of steps; leave it out, or give "
            "eval.delay=2."
        )


def step_limit(policy: Policy) -> int:
    """Of an episode, as its evaluation has it."""
    lengths = PolicyCard.load(policy.checkpoint).usual_lengths
    return target_of(policy.config, policy.places, policy.checkpoint, lengths).limit


def loaded(policy: Policy) -> Acting:
    """Without a critic."""
    asked = policy.config.eval
    return load_policy(policy.checkpoint, flow_steps=asked.flow_steps, batch_size=asked.batch_size)


def rolled_out(policy: Policy, scenes: Sequence[int], folder: Path, label: str) -> ResultsFile:
    """The policy's episodes, as an evaluation has them; those that are there are not run again."""
    asked, results = policy.config.eval, ResultsFile(folder)
    if all(scene in results.done for scene in scenes):
        return results
    limit = step_limit(policy)
    told: dict[str, Any] = {"execute": asked.execute, "noise_seed": asked.seed}
    told |= {"ensemble": asked.ensemble, "delay": int(asked.delay), "rtc": asked.rtc}
    driver = PolicyDriver(chosen_by_critic(loaded(policy), asked, policy.digest), **told)
    contract = policy.places.contract
    with WorkerPool(contract, asked.workers) as pool:
        roll_out(pool, driver, in_groups(contract, scenes), max_steps=limit, results=results, label=label)
    return results
