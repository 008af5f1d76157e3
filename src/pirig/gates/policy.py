"""The gates of a checkpoint: is it served as it was trained? Run before an evaluation and by `pirig doctor`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pirig.policies.card import PolicyCard
from pirig.transforms.pipeline import Pipeline

Gates = dict[str, Callable[[], list[str]]]


def gates(pipeline: Pipeline, card: PolicyCard) -> Gates:
    """`card` is the checkpoint's own, `pipeline` what the policy will use."""
    return {
        "transforms": lambda: transforms(pipeline, card),
        "state_reaches_model": lambda: state_reaches_model(pipeline),
        "chunk": lambda: chunk(pipeline, card),
    }


def transforms(pipeline: Pipeline, card: PolicyCard) -> list[str]:
    """The transforms give the numbers that they gave when the checkpoint was trained, on the frame kept for that."""
    kept = card.probe
    if kept is None:
        return ["policy.json holds no probe frame: it was made by another version; train again, or skip this gate"]
    now = pipeline.probe(np.array(kept["state_raw"], np.float32), np.array(kept["action_raw"], np.float32))
    found = []
    for name, cause in (
        ("state", "norm stats, normalisation, padding or the state recipe"),
        ("tokens", "the prompt, the tokenizer or the state in the prompt"),
        ("action", "norm stats, normalisation or padding of the actions, or what they are relative to,"),
        ("env_action", "the way back from the model's numbers to the simulator's"),
    ):
        theirs, ours = np.array(kept[name], np.float64), np.array(now[name], np.float64)
        if theirs.shape != ours.shape:
            found.append(f"{name} has shape {ours.shape}, training saw {theirs.shape}: {cause} changed")
        elif not np.allclose(theirs, ours, atol=1e-4, equal_nan=False):
            worst = int(np.nan_to_num(np.abs(theirs - ours), nan=np.inf).argmax())
            found.append(
                f"{name} number {worst} is {ours.flat[worst]:.4f}, training saw {theirs.flat[worst]:.4f}: {cause} changed"
            )
    return found


def state_reaches_model(pipeline: Pipeline) -> list[str]:
    """pi0.5 feels its joints only through the prompt."""
    if pipeline.model_config.pi05 and not pipeline.state_in_prompt:
        return [
            "pi0.5 with model.state_in_prompt=false never reads the state: the policy cannot feel its joints, nor read a goal "
            "that only the state holds"
        ]
    return []


def chunk(pipeline: Pipeline, card: PolicyCard) -> list[str]:
    """The chunk that the model predicts is the one that it was trained on."""
    if card.horizon == pipeline.model_config.action_horizon:
        return []
    return [f"the model predicts {pipeline.model_config.action_horizon} steps, it was trained on {card.horizon}"]
