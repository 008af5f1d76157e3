"""A policy's episode stepped once more, now with every frame: what was seen before each action, and what the action brought.

Roll-outs look only where a chunk begins. The same actions in the same scene are the same episode (`Pool.repeatable`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pirig.contract import Contract
from pirig.demos.manifest import IMAGE, LABEL
from pirig.evaluation.results import EpisodeResult
from pirig.sim.door import Implementation, Simulator

SUCCESS = "success"  # array of an episode's file: whether it was one after each step
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Acted:
    """`actions` f32 [T, action_dim] to the episode's end, which is a success at its last step or a failure at its step limit."""

    scene: int
    actions: np.ndarray
    succeeded: bool


def acted(contract: Contract, result: EpisodeResult, actions: np.ndarray) -> Acted:
    """To its first success; actions as the simulator takes them, which clips differences to -1 and 1."""
    count = result.first_success if result.success else result.steps
    limit = 1.0 if "delta" in contract.control_mode else np.inf
    return Acted(result.scene, np.clip(actions[:count], -limit, limit).astype(np.float32), result.success)


def opened(implementation: Implementation, contract: Contract, labels: bool) -> Callable[[Acted], tuple[int, Arrays]]:
    return partial(recorded, implementation.open(contract), labels)


def recorded(sim: Simulator, labels: bool, episode: Acted) -> tuple[int, Arrays]:
    """Its scene, and an episode's arrays as `pirig demos` keeps them, with `success` bool [T] beside them.

    Raises RuntimeError where it ends otherwise than before.
    """
    sim.reset(episode.scene)
    rows: list[Arrays] = []
    for action in episode.actions:
        shown = sim.observe()
        row = {f"{IMAGE}{role}": image for role, image in shown.images.items()} | shown.numbers
        row |= {f"{LABEL}{name}": values for name, values in sim.labels().items()} if labels else {}
        info = sim.step(action)
        rows.append({**row, "actions": action, SUCCESS: np.asarray(info.success)})
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    _require_same(episode, arrays[SUCCESS])
    return episode.scene, arrays


def _require_same(episode: Acted, success: np.ndarray) -> None:
    first = int(np.argmax(success)) + 1 if success.any() else None
    if first != (len(success) if episode.succeeded else None):
        was = f"a success at step {len(success)}" if episode.succeeded else "a failure"
        now = f"one at step {first}" if first else "none"
        raise RuntimeError(
            f"scene {episode.scene} was {was}, and stepped again with the same actions there is {now}: this simulator does not "
            "repeat itself, so its episodes cannot be kept"
        )
