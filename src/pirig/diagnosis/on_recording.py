"""What can be measured of a policy for an arm that is not simulated: its open-loop action error on recorded frames."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.places import Places
from pirig.config.schema import Config
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot_read import Dataset
from pirig.diagnosis.evidence import Errors
from pirig.diagnosis.open_loop import OpenLoop
from pirig.evaluation.target import ACTION_ERROR
from pirig.files.atomic import write_text
from pirig.policies.policy import Policy

SUCCESS = (
    "This is not a success rate: open loop, the policy sees recorded frames and never the results of its own actions. Success is "
    "measured on the arm."
)


def measure(
    policy: Policy, dataset: Dataset, held_out: list[int], config: Config, places: Places, target: Path
) -> dict[str, Any]:
    """{"held_out", "training"} -> errors; held_out is missing where the run held none out. Also writes ACTION_ERROR."""
    images = frame_cache(dataset, policy.pipeline.contract.image_px, places.frame_caches)
    loop = OpenLoop(
        policy.predict,
        dataset,
        images,
        noise_shape=policy.noise_shape,
        batch_size=policy.batch_size,
        relative_to_state=policy.pipeline.relative_to_state,
    )
    trained = [one for one in range(dataset.episode_count) if one not in set(held_out)]
    rows, count = dataset.rows_without(held_out), config.train.validation_frames
    sets = {"held_out": held_out, "training": trained}
    names = policy.pipeline.contract.action_layout.split()
    found = {
        name: _plain(loop.errors(episodes, rows, count, inputs=False, label=f"{name} frames"), names)
        for name, episodes in sets.items()
        if episodes
    }
    write_text(target / ACTION_ERROR, json.dumps(found, indent=2) + "\n")
    return found


def _plain(errors: Errors, names: list[str]) -> dict[str, Any]:
    return {
        "frames": errors.frames,
        "episodes": errors.episodes,
        "of_mean_action": errors.relative(),
        "of_repeating": errors.relative() / errors.relative("repeat") if errors.relative("repeat") else None,
        "error": dict(zip(names, _by_number(errors.policy), strict=True)),
        "error_of_mean_action": dict(zip(names, _by_number(errors.mean), strict=True)),
        "error_of_repeating": dict(zip(names, _by_number(errors.repeat), strict=True)),
    }


def _by_number(error: np.ndarray) -> list[float]:
    return [float(one) for one in error.mean(axis=0)]


def lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """For the screen: a table of mean |difference| by action number, then what it means."""
    result = []
    for name, row in found.items():
        result.append(
            f"action error on {row['frames']} {name.replace('_', '-')} frames of {row['episodes']} episodes (rad, gripper 0 to 1)"
        )
        result.append(f"  {'':10} {'policy':>9} {'mean action':>12} {'repeat last':>12}")
        for number, error in row["error"].items():
            mean, repeat = row["error_of_mean_action"][number], row["error_of_repeating"][number]
            result.append(f"  {number:10} {error:9.4f} {mean:12.4f} {repeat:12.4f}")
        share = f"{row['of_mean_action']:.0%} of always giving the mean action"
        repeating = "" if row["of_repeating"] is None else f", {row['of_repeating']:.0%} of repeating the last one"
        result.append(f"  all, each by its own spread: {share}{repeating}")
    if "held_out" not in found:
        result.append(
            "No episode was held out of training: set train.validation_share=0.1 to see how it does on others."
        )
    return [*result, SUCCESS]
