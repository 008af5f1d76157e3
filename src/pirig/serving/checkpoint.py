"""What a server serves: a checkpoint, checked as an evaluation checks it, and what its clients are told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pirig import __version__
from pirig.evaluation.target import digest_of
from pirig.policies.layouts import blank, names
from pirig.policies.policy import Policy
from pirig.serving.batches import Predict


def metadata(policy: Policy, checkpoint: Path) -> dict[str, Any]:
    """What a client gets on connecting; `contract` is its JSON, `weights` a digest of what the policy is."""
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
    }


def warm(predict: Predict, policy: Policy) -> None:
    """Compiles the program that every request of the contract's own sentences needs."""
    predict([blank(policy.pipeline.contract)], np.zeros((1, *policy.noise_shape), np.float32))
