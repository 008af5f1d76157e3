"""The door to a method of `pirig improve`: what it needs, and what it makes of an evaluated policy in one round."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pirig.config.places import Places, places_of
from pirig.config.schema import Config
from pirig.evaluation.target import digest_of_critic
from pirig.files import identity
from pirig.improving import methods

CONTROL = "control"  # the arm of a child that makes the same steps without what the method made
ACTS = ("execute", "ensemble", "delay", "rtc", "flow_steps", "seed", "batch_size")  # of eval


@dataclass(frozen=True)
class Policy:
    """A checkpoint and the config of the run that it is of."""

    config: Config
    checkpoint: Path
    digest: str

    @property
    def places(self) -> Places:
        return places_of(self.config)


@dataclass(frozen=True)
class Round:
    """`number` from 1. `folder`: the method's own in this round. `name`: of what the round makes, beside that of other rounds."""

    number: int
    policy: Policy
    folder: Path
    name: str


@dataclass(frozen=True)
class Made:
    """`config`: how the child trains on what was made, but for its name and its steps; None where there is nothing to train on.

    `facts`: plain values for the result: what was counted, where it lies; "said" is shown. `trains`: False where `config` is how
    the same checkpoint acts from now on.
    """

    config: Config | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = True


class Method(Protocol):
    until_level: bool  # no further round after one whose rate is not told from that before it

    def arm(self, config: Config) -> str:
        """What the improved policy is called beside the control."""
        ...

    def require(self, policy: Policy) -> None:
        """Raises ValueError, before anything starts, where it cannot improve this run here."""
        ...

    def settings(self, config: Config) -> dict[str, Any]:
        """Of its own, what the result depends on."""
        ...

    def make(self, round: Round) -> Made:
        """Goes on where a killed call stopped; what is there is found."""
        ...


def method_named(name: str) -> Method:
    """Raises ValueError that lists the known ones."""
    known = sorted(module.name for module in pkgutil.iter_modules(methods.__path__))
    if name not in known:
        raise ValueError(
            f"improve.name={name}: expected one of {', '.join(known)}; a new one is src/pirig/improving/methods/{name}.py"
        )
    return importlib.import_module(f"{methods.__name__}.{name}").METHOD


def acts_of(config: Config) -> dict[str, Any]:
    """What decides how a policy acts, beside what it is."""
    acts = {key: getattr(config.eval, key) for key in ACTS}
    chosen = {
        "best_of": config.eval.best_of,
        "critic": config.eval.critic and digest_of_critic(Path(config.eval.critic)),
        "head": config.eval.head and digest_of_critic(Path(config.eval.head)),
    }
    return acts | {name: value for name, value in chosen.items() if value not in (1, "")}


def digest_of(method: Method, policy: Policy) -> str:
    """Of all that decides what the rounds make and how their children train, but for how many rounds there are."""
    config = policy.config
    told = {
        "method": config.improve.name,
        "policy": policy.digest,
        "scenes": config.improve.scenes,
        "steps": config.improve.steps,
        "acts": acts_of(config),
        **method.settings(config),
    }
    return identity.digest_of(told)[:8]
