"""What a server serves: a checkpoint, checked as an evaluation checks it, and what its clients are told of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from pirig import __version__
from pirig.evaluation.target import digest_of
from pirig.policies.layouts import blank, names
from pirig.policies.policy import Policy
from pirig.policies.underway import Underway
from pirig.serving.batches import Predict


def metadata(policy: Policy, checkpoint: Path, *, rtc: bool = False) -> dict[str, Any]:
    """What a client gets on connecting; `contract` is its JSON, `weights` a digest of what the policy is, `rtc` whether a request
    may bring the chunk that is underway."""
    contract = policy.pipeline.contract
    return {
        "server": f"pirig {__version__}",
        "checkpoint": checkpoint.name,
        "weights": digest_of(checkpoint),
        "contract": contract.to_json(),
        "contract_hash": contract.hash,
        "horizon": policy.horizon,
        "action_dim": contract.action_dim,
        "noise_shape": list(policy.noise_shape),
        "prompts": [scene.prompt for scene in contract.scenes],
        "layouts": names(),
        "control_hz": contract.control_hz,
        "rtc": rtc,
    }


def warm(predict: Predict, policy: Policy, *, rtc: bool = False) -> None:
    """Compiles what requests of the contract's own sentences need; with `rtc` also those that bring a chunk."""
    contract, noise = policy.pipeline.contract, np.zeros((1, *policy.noise_shape), np.float32)
    predict([blank(contract)], noise)
    if rtc:
        underway = Underway(np.zeros((policy.horizon, contract.action_dim), np.float32), 0)
        predict([dataclasses.replace(blank(contract), underway=underway)], noise)
