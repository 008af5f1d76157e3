"""`pirig verify RUN [DATASET]`: does the newest checkpoint of a run act at all, and on what it was trained for?

Loads it as an evaluation would, infers once on zeros and once on a frame of the data set, and prints shapes, ranges
and milliseconds. DATASET is needed only where the data set is no longer where the run found it. Exit status 1 if numbers
are not finite, if an output is constant or does not depend on what the policy sees, or if run, checkpoint and data set
disagree about the contract.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pirig.contract import Contract
    from pirig.datasets.lerobot_read import Dataset
    from pirig.policies.policy import Policy

REPEATS = 5
FLAT = 1e-6  # of the actions' own scale
Inputs = tuple[dict[str, np.ndarray], np.ndarray]  # images u8 [1, H, W, 3] by role, state [1, state_dim]


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if len(arguments) > 2:
        print(f"pirig verify: expected RUN and perhaps DATASET, got {' '.join(arguments)}", file=sys.stderr)
        return 2
    problems = check(Path(arguments[0]), Path(arguments[1]) if arguments[1:] else None)
    print("\n".join(f"WRONG {text}" for text in problems) or "ok    finite, not constant, contracts agree")
    return 1 if problems else 0


def check(run: Path, data_folder: Path | None = None) -> list[str]:
    """What is wrong with the newest checkpoint of a run; shapes, ranges and times are printed on the way."""
    from pirig.config.load import of_run
    from pirig.config.places import ASSETS, places_of
    from pirig.contract import Contract
    from pirig.runs.progress import newest_checkpoint

    config, checkpoint = of_run(run, []), newest_checkpoint(run)
    if checkpoint is None:
        raise ValueError(f"{run}: no checkpoint yet; run `pirig train` with run.mode=resume first")
    places = places_of(config)
    dataset = _data_set(data_folder or places.data_set)
    problems = _disagreements(places.contract, Contract.load(checkpoint / ASSETS), dataset)
    if problems:
        return problems  # an inference on such inputs would say nothing
    policy = _load(checkpoint, config.eval.flow_steps)
    asked, trained = list(config.control.relative_to_state), list(policy.pipeline.relative_to_state)
    if asked != trained:
        return [f"checkpoint and the run's config disagree: control.relative_to_state: {trained} != {asked}"]
    return infer(policy, dataset)


def _data_set(folder: Path) -> Dataset:
    from pirig.datasets.lerobot_read import Dataset

    if not (folder / "meta" / "info.json").is_file():
        raise ValueError(f"{folder}: the run's data set is not there; give its folder: pirig verify RUN DATASET")
    return Dataset(folder)


def _disagreements(asked: Contract, trained: Contract, dataset: Dataset) -> list[str]:
    from pirig.contract import differences

    pairs = {"the run's config": asked, f"the data set {dataset.folder}": dataset.contract}
    return [
        f"checkpoint and {name} disagree: {text}"
        for name, other in pairs.items()
        for text in differences(trained, other)
    ]


def _load(checkpoint: Path, flow_steps: int) -> Policy:
    import jax

    from pirig.models.layout import param_count
    from pirig.policies.policy import load_policy

    policy = load_policy(checkpoint, flow_steps=flow_steps, batch_size=1)
    config, contract = policy.pipeline.model_config, policy.pipeline.contract
    kind = "pi0.5" if config.pi05 else "pi0"
    print(f"checkpoint  {checkpoint}")
    print(f"model       {kind}, {param_count(config):,} parameters, contract {contract.hash}")
    print(f"device      {jax.devices()[0].device_kind}, {flow_steps} flow steps")
    return policy


def infer(policy: Policy, dataset: Dataset) -> list[str]:
    """Both inferences, from the same noise; returns what is wrong with the actions."""
    row = dataset.offsets[len(dataset.offsets) // 2]
    frame = ({role: dataset.image(role, row)[None] for role in dataset.roles}, dataset.state[row : row + 1])
    zeros = ({role: np.zeros_like(image) for role, image in frame[0].items()}, np.zeros_like(frame[1]))
    noise = np.random.default_rng(0).standard_normal((1, *policy.noise_shape)).astype(np.float32)
    _print_inputs(policy, frame)
    actions = {}
    for name, inputs in {"zeros": zeros, f"frame {row}": frame}.items():
        # as learned: a state that is only added back shows nothing of what the policy sees
        actions[name] = policy.pipeline.learned(_timed(policy, inputs, noise, name), inputs[1][0])
    print(f"{'demos':11} {_described(dataset.actions)} demonstrated actions")
    return wrong_actions(actions, float(np.ptp(dataset.actions)))


def _print_inputs(policy: Policy, frame: Inputs) -> None:
    fed = policy.model_inputs(*frame)
    for role, image in fed.images.items():
        print(f"{'image':11} {_described(np.asarray(image))} {role}")
    print(f"{'state':11} {_described(np.asarray(fed.state))} as the model reads it")
    print(f"{'tokens':11} {int(np.asarray(fed.token_mask).sum())} of {fed.tokens.shape[1]}")


def _timed(policy: Policy, inputs: Inputs, noise: np.ndarray, name: str) -> np.ndarray:
    """Actions [horizon, action_dim]; the first call apart, since it may compile."""
    spent_ms = []
    for _ in range(1 + REPEATS):
        started_s = time.perf_counter()
        actions = policy.predict(*inputs, noise)[0]
        spent_ms.append(1e3 * (time.perf_counter() - started_s))
    print(f"{name:11} {_described(actions)} actions, first call {spent_ms[0]:.0f} ms, then {min(spent_ms[1:]):.1f} ms")
    return actions


def _described(values: np.ndarray) -> str:
    return f"{values.dtype} {list(values.shape)}, {values.min():.4g} to {values.max():.4g},"


def wrong_actions(actions: dict[str, np.ndarray], scale: float) -> list[str]:
    """`actions`: chunks [horizon, action_dim] by what the policy saw; `scale`: span of the demonstrated actions."""
    problems = []
    for name, chunk in actions.items():
        bad = int((~np.isfinite(chunk)).sum())
        if bad:
            problems.append(f"on {name}: {bad} of {chunk.size} numbers are NaN or infinite")
        elif len(chunk) > 1 and np.ptp(chunk, axis=0).max() <= FLAT * scale:
            problems.append(f"on {name}: the actions are the same at every step, though their noise differs")
    if problems:
        return problems
    (one, first), (other, second) = actions.items()
    if np.abs(first - second).max() <= FLAT * scale:
        problems.append(f"the actions on {one} and on {other} are the same: they do not depend on what the policy sees")
    return problems
