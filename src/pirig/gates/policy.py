"""The gates of a checkpoint: is it served as it was trained? Run before an evaluation and by `pirig doctor`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.schema import Config
from pirig.gates.finding import Report, require_good, run_gates
from pirig.policies.card import PolicyCard
from pirig.transforms.pipeline import Pipeline

Gates = dict[str, Callable[[], list[str]]]


def gates(pipeline: Pipeline, card: PolicyCard, asked: Config | None) -> Gates:
    """`card` is the checkpoint's own, `pipeline` what the policy will use, `asked` the config of the run, None without one."""
    asked_always: Gates = {
        "transforms": lambda: transforms(pipeline, card),
        "state_reaches_model": lambda: state_reaches_model(pipeline),
    }
    return asked_always if asked is None else {**asked_always, "chunk": lambda: chunk(pipeline, asked)}


def require_served_as_trained(config: Config, checkpoint: Path, card: PolicyCard) -> Report:
    """What the gates of a checkpoint say. Raises GateError where it would not be served as it was trained, ValueError where
    the config asks for other relative numbers than it was trained with."""
    from pirig.policies.policy import load_pipeline

    pipeline, asked = load_pipeline(checkpoint), tuple(config.control.relative_to_state)
    if pipeline.relative_to_state != asked:
        raise ValueError(
            f"control.relative_to_state={list(asked)}: {checkpoint} was trained with {list(pipeline.relative_to_state)}; give "
            "that one."
        )
    report = run_gates(gates(pipeline, card, config), config.gates.skip)
    require_good(report, "evaluation")
    return report


def transforms(pipeline: Pipeline, card: PolicyCard) -> list[str]:
    """The transforms give the numbers that they gave when the checkpoint was trained, on the frame kept for that."""
    kept = card.probe
    if kept is None:
        return ["policy.json holds no probe frame: it was made by another version; train again, or skip this gate"]
    now = pipeline.probe(np.array(kept["state_raw"], np.float32), np.array(kept["action_raw"], np.float32))
    changed = _pixels(kept, now)
    for name, cause in (
        ("state", "norm stats, normalisation, padding or the state recipe"),
        ("tokens", "the prompt, the tokenizer or the state in the prompt"),
        ("action", "norm stats, normalisation or padding of the actions, or what they are relative to,"),
        ("env_action", "the way back from the model's numbers to the simulator's"),
    ):
        theirs, ours = np.array(kept[name], np.float64), np.array(now[name], np.float64)
        if theirs.shape != ours.shape:
            changed.append(f"{name} has shape {ours.shape}, training saw {theirs.shape}: {cause} changed")
        elif not np.allclose(theirs, ours, atol=1e-4, equal_nan=False):
            worst = int(np.nan_to_num(np.abs(theirs - ours), nan=np.inf).argmax())
            changed.append(
                f"{name} number {worst} is {ours.flat[worst]:.4f}, training saw {theirs.flat[worst]:.4f}: {cause} changed"
            )
    return changed


def _pixels(kept: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Checkpoints from before the digest was kept are asked nothing."""
    if kept.get("pixels") in (None, now["pixels"]):
        return []
    return [
        f"a test picture becomes {now['pixels']} here, training saw {kept['pixels']}: the resize (or Pillow's version) or the "
        "range of the pixels changed"
    ]


def state_reaches_model(pipeline: Pipeline) -> list[str]:
    """pi0.5 feels its joints only through the prompt."""
    if pipeline.model_config.pi05 and not pipeline.state_in_prompt:
        return [
            "pi0.5 with model.state_in_prompt=false never reads the state: the policy cannot feel its joints, nor read a goal "
            "that only the state holds"
        ]
    return []


def chunk(pipeline: Pipeline, asked: Config) -> list[str]:
    """The run asks for chunks as long as its checkpoint predicts; no parameter's shape tells, so another would load and act."""
    ours, theirs = asked.horizon.steps, pipeline.model_config.action_horizon
    if ours == theirs:
        return []
    return [f"horizon={ours} in this run's config, and the checkpoint was trained with horizon {theirs}; give that one"]
