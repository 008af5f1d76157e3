"""How late chunks come in an evaluation: so many control steps as are asked for, or as the policy takes on this machine."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pirig.config.measuring import MEASURED, EvalConfig
from pirig.config.number_rules import too_late
from pirig.contract import Contract
from pirig.files.atomic import write_text
from pirig.files.records import read_record
from pirig.policies.layouts import blank
from pirig.policies.policy import Policy
from pirig.policies.remote import RemotePolicy
from pirig.policies.underway import Underway

REPEATS = 11
FILE = "latency.json"
Asked = Policy | RemotePolicy


@dataclass(frozen=True)
class Lateness:
    """`steps`: control steps from a look to its chunk. `latency_ms`: the median that it was measured from, None where it was
    asked for."""

    steps: int = 0
    latency_ms: float | None = None


def lateness(asked: EvalConfig, policy: Callable[[], Asked], contract: Contract, folder: Path) -> Lateness:
    """Of all episodes in `folder`: what was measured for the first of them holds for those that are added.

    Raises ValueError where the policy is too slow to act so.
    """
    if asked.delay != MEASURED:
        return Lateness(int(asked.delay))
    file = folder / FILE
    if file.is_file():
        found = Lateness(**read_record(file))
        print(
            f"eval: chunks come {said(found, contract)}, as measured for the episodes that are there", file=sys.stderr
        )
        return found
    latency_ms = measured_ms(policy(), contract, _underway(asked, policy(), contract) if asked.rtc else None)
    found = Lateness(math.ceil(latency_ms * contract.control_hz / 1e3), round(latency_ms, 2))
    if wrong := too_late(found.steps, asked.execute, policy().horizon):
        raise ValueError(
            f"eval.delay=measured: this policy takes {latency_ms:.0f} ms here, {found.steps} control steps at "
            f"{contract.control_hz} Hz. {wrong} Fewer eval.flow_steps are faster."
        )
    print(f"eval: chunks come {said(found, contract)}", file=sys.stderr)
    write_text(file, json.dumps(dataclasses.asdict(found)) + "\n")
    return found


def steps_of(delay: str, folder: Path) -> int:
    """Of the episodes in `folder`, which were made with this `eval.delay`."""
    return read_record(folder / FILE)["steps"] if delay == MEASURED else int(delay)


def said(found: Lateness, contract: Contract) -> str:
    taken = "" if found.latency_ms is None else f" ({found.latency_ms:.0f} ms at {contract.control_hz} Hz)"
    return f"{found.steps} control steps late{taken}"


def measured_ms(policy: Asked, contract: Contract, underway: Underway | None = None) -> float:
    """Milliseconds from an observation to its chunk: the median of a few after the first, which compiles."""
    shown, noise = blank(contract), np.zeros((1, *policy.noise_shape), np.float32)
    images = {role: image[None] for role, image in shown.images.items()}
    more = {"underway": [underway]} if underway else {}
    spent_ms = []
    for _ in range(1 + REPEATS):
        started_s = time.perf_counter()
        policy.predict(images, shown.state[None], noise, [shown.prompt or contract.prompt], **more)  # type: ignore[arg-type]
        spent_ms.append(1e3 * (time.perf_counter() - started_s))
    return float(np.median(spent_ms[1:]))


def _underway(asked: EvalConfig, policy: Asked, contract: Contract) -> Underway:
    return Underway(np.zeros((policy.horizon - asked.execute, contract.action_dim), np.float32), 0)
