"""Roll-outs of a run's policy, from its first step to a data set; what a kill left is gone on with, more scenes add to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pirig.config.places import DATA_SET, ROLLOUTS
from pirig.demos.manifest import episode_file, write_episode
from pirig.evaluation.results import EpisodeResult, ResultsFile
from pirig.files.identity import Identity, digest_of
from pirig.improving.acting import require_acts, rolled_out, step_limit
from pirig.improving.door import Policy, acts_of
from pirig.improving.rollouts import again, data_set
from pirig.improving.watching import answered
from pirig.policies.card import PolicyCard

EPISODES, RESULTS = "episodes", "results"  # of a folder of roll-outs: every frame, how each ended


@dataclass(frozen=True)
class RolledOut:
    """`environment_steps`: that the policy made; each episode was stepped once more to be seen. `again`: nothing was missing."""

    folder: Path
    episodes: int
    succeeded: int
    frames: int
    environment_steps: int
    again: bool

    @property
    def data_set(self) -> Path:
        return self.folder / DATA_SET


def require(policy: Policy) -> None:
    """Raises ValueError where this policy cannot be rolled out here, or no chunk of it would be executed as it is."""
    require_acts(policy, "a data set of roll-outs", "record its episodes on the arm (`pirig collect`)")
    if policy.config.eval.best_of > 1 or policy.config.eval.head:
        raise ValueError(
            f"eval.best_of={policy.config.eval.best_of} eval.head={policy.config.eval.head or 'none'}: a roll-out keeps the "
            "noise of the policy's own chunks, and others would be executed; leave eval.best_of, eval.critic and eval.head out."
        )
    if policy.config.eval.ensemble:
        raise ValueError(
            f"eval.ensemble={policy.config.eval.ensemble:g}: a step is then of several chunks, and a roll-out says of each step "
            "which chunk was executed; leave it out."
        )


def folder_of(policy: Policy) -> Path:
    """In the run's: one for each policy and way of acting."""
    told = {"policy": policy.digest, "acts": acts_of(policy.config), "limit": step_limit(policy)}
    return policy.places.run / ROLLOUTS / f"step{policy.checkpoint.name}-{digest_of(told)[:8]}"


def make(policy: Policy, count: int) -> RolledOut:
    """On the first `count` scenes that are for it."""
    first = policy.config.rollouts.first_seed
    wanted = list(range(first, first + count))
    folder = folder_of(policy)
    results = rolled_out(policy, wanted, folder / RESULTS, "roll-outs")
    done = results.results(sorted(results.done))  # earlier calls may have asked for more
    _see(policy, results, done, folder / EPISODES)
    there = data_set.written(_asked(policy, results, done, folder), folder / DATA_SET)
    frames = sum(_frames(result) for result in done)
    succeeded, steps = sum(result.success for result in done), sum(result.steps for result in done)
    return RolledOut(folder, len(done), succeeded, frames, steps, there)


def _frames(result: EpisodeResult) -> int:
    return result.first_success if result.success else result.steps


def _see(policy: Policy, results: ResultsFile, done: list[EpisodeResult], folder: Path) -> None:
    """Every frame of the episodes that lack them."""
    folder.mkdir(parents=True, exist_ok=True)
    contract, config = policy.places.contract, policy.config
    missing = [result for result in done if not episode_file(folder, result.scene).is_file()]
    episodes = [again.acted(contract, result, results.actions(result.scene)) for result in missing]
    if not episodes:
        return
    opening = again.opened, contract, config.demos.labels
    for scene, arrays in answered(contract, episodes, config.eval.workers, "roll-outs: frames", *opening):
        write_episode(episode_file(folder, scene), arrays)


def _asked(policy: Policy, results: ResultsFile, done: list[EpisodeResult], folder: Path) -> data_set.Asked:
    config, contract = policy.config, policy.places.contract
    model, execute = PolicyCard.load(policy.checkpoint).model, config.eval.execute
    settings = {"acts": acts_of(config), "limit": step_limit(policy), "rewards": asdict(config.rollouts.rewards)}
    settings |= {"labels": config.demos.labels, "contract": contract.hash}
    parts = [f"{one.scene}:{_frames(one)}:{digest_of(results.actions(one.scene).tolist())}" for one in done]
    made = Identity(data_set.KIND, {"policy": policy.digest}, settings, tuple(parts), code=data_set.CODE)
    chunks: dict[str, Any] = {"execute": execute, "delay": int(config.eval.delay), "noise_seed": config.eval.seed}
    return data_set.Asked(
        contract,
        folder / EPISODES,
        [result.scene for result in done],
        sum(map(_frames, done)),
        config.rollouts.rewards,
        chunks | {"noise_shape": (model.action_horizon, model.action_dim)},
        config.demos.labels,
        _told(policy, done),
        made,
    )


def _told(policy: Policy, done: list[EpisodeResult]) -> dict[str, Any]:
    run = policy.config.run
    return {
        "made_from": {"policy": policy.digest, "run": f"{run.experiment}/{run.name}", "step": policy.checkpoint.name},
        "source": "roll-outs of a policy",
        "acts": acts_of(policy.config),
        "environment_steps": sum(result.steps for result in done),
        "kept": len(done),
        "tried": len(done),
    }
