"""Rounds of a method: it makes what a child trains on; child and control train, and are measured on held-out scenes."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from pirig.comparison.statistics import compare_counts
from pirig.comparison.success import SuccessRow
from pirig.config.places import IMPROVEMENTS
from pirig.config.schema import Config, Mode, WeightsConfig
from pirig.evaluation.target import digest_of as digest_of_checkpoint
from pirig.files import identity
from pirig.files.atomic import write_text
from pirig.files.records import read_record
from pirig.improving.door import CONTROL, Made, Method, Policy, Round, digest_of
from pirig.improving.lineage import Lineage

RESULTS, MINUTES = "results.json", "minutes.json"
BASE = "base"


@dataclass(frozen=True)
class Stages:
    """What a round asks of the stages. `train` goes on with a child's run and returns its checkpoint; `measure` gives the rate of
    `config.run.checkpoint` on held-out scenes."""

    train: Callable[[Config, Lineage], Path]
    measure: Callable[[Config], SuccessRow]


@dataclass
class Improvement:
    """`folder`: in the run's, named by the method and by all that decides its rounds."""

    method: Method
    base: Policy
    stages: Stages
    folder: Path = field(init=False)
    digest: str = field(init=False)
    arm: str = field(init=False)

    def __post_init__(self) -> None:
        self.digest, self.arm = digest_of(self.method, self.base), self.method.arm(self.base.config)
        self.folder = self.base.places.run / IMPROVEMENTS / f"{self.base.config.improve.name}-{self.digest}"

    def run(self) -> dict[str, Any]:
        """What `results.json` holds, written after every part that ends."""
        config = self.base.config
        self.folder.mkdir(parents=True, exist_ok=True)
        base = self._measured(self.base, 0, BASE)
        result: dict[str, Any] = {
            "method": config.improve.name,
            "parent": _named(self.base),
            "settings": dataclasses.asdict(config.improve),
            "held_out": [config.eval.first_seed, config.eval.first_seed + config.eval.episodes - 1],
            "base": _plain(self.base, base),
            "rounds": [],
        }
        heads, before = {self.arm: self.base, CONTROL: self.base}, base
        for number in range(1, config.improve.rounds + 1):
            told, heads, rate = self._round(number, heads, base)
            result["rounds"].append(told)
            self._save(result)
            if why := self._ended(before, rate):
                print(f"round {number} {why}; no further round is made", flush=True)
                break
            before = rate or before
        return result

    def _ended(self, before: SuccessRow, rate: SuccessRow | None) -> str:
        """Why a round is the last, beside how many are asked for; "" where it is not. `rate`: of what it made."""
        if rate is None:
            return "made nothing to train on"
        if self.method.until_level and not compare_counts(before.k, before.n, rate.k, rate.n).differ:
            return f"is not told from what was before it ({before.k}/{before.n}, then {rate.k}/{rate.n})"
        return ""

    def _round(
        self, number: int, heads: dict[str, Policy], base: SuccessRow
    ) -> tuple[dict[str, Any], dict[str, Policy], SuccessRow | None]:
        """What `results.json` has of it, the policies that the next one goes on from, the rate of what it made."""
        settings = self.base.config.improve
        _say(f"round {number} of {settings.rounds}: {settings.name} of {_named(heads[self.arm])}")
        folder = self.folder / f"round-{number}"
        folder.mkdir(exist_ok=True)
        name = f"{settings.name}-{self.digest}-r{number}"
        with self._timed(number, "made"):
            made = self.method.make(Round(number, heads[self.arm], folder, name))
        told: dict[str, Any] = {"round": number, **made.facts, "runs": {}, "rates": {}, "fisher": {}, "minutes": {}}
        if made.config is None:
            return told | {"minutes": self._minutes(number)}, heads, None
        children, rates = self._children(number, heads, made), {BASE: base}
        for arm, policy in children.items():
            _say(f"round {number} of {settings.rounds}: {arm} on held-out scenes")
            rates[arm] = self._measured(policy, number, arm)
        told["runs"] = {arm: str(policy.places.run) for arm, policy in children.items()}
        told["rates"] = {arm: _plain(children[arm], rates[arm]) for arm in children}
        told["fisher"] = {f"{a} and {b}": _verdict(rates[a], rates[b]) for a, b in combinations(rates, 2)}
        return told | {"minutes": self._minutes(number)}, children, rates[self.arm]

    def _children(self, number: int, heads: dict[str, Policy], made: Made) -> dict[str, Policy]:
        assert made.config is not None
        children = {}
        for arm, config in {self.arm: made.config, CONTROL: heads[CONTROL].config}.items():
            if arm == CONTROL or made.trains:
                children[arm] = self._trained(number, arm, config, heads[arm].checkpoint)
            else:
                children[arm] = dataclasses.replace(heads[arm], config=config)
        return children

    def _trained(self, number: int, arm: str, config: Config, start: Path) -> Policy:
        settings = self.base.config.improve
        child = child_of(config, start, settings.steps)
        child = dataclasses.replace(
            child, run=dataclasses.replace(child.run, name=self._child_name(number, arm, child))
        )
        _say(f"round {number} of {settings.rounds}: {arm} trains {settings.steps} steps ({child.run.name})")
        lineage = Lineage(_named(self.base), CONTROL if arm == CONTROL else settings.name, number, arm)
        with self._timed(number, f"train {arm}"):
            checkpoint = self.stages.train(child, lineage)
        return Policy(child, checkpoint, digest_of_checkpoint(checkpoint))

    def _measured(self, policy: Policy, number: int, arm: str) -> SuccessRow:
        run = dataclasses.replace(policy.config.run, checkpoint=str(policy.checkpoint))
        with self._timed(number, f"eval {arm}"):
            return self.stages.measure(dataclasses.replace(policy.config, run=run))

    def _child_name(self, number: int, arm: str, child: Config) -> str:
        """Beside the run's own. A control is the same whatever the method beside it, so all of them share it."""
        name = f"{self.base.config.improve.name}-{self.digest}"
        if arm == CONTROL:
            trained = {
                "policy": self.base.digest,
                "train": dataclasses.asdict(child.train),
                "schedule": dataclasses.asdict(child.schedule),
            }
            name = f"{CONTROL}-{identity.digest_of(trained)[:8]}"
        return f"{self.base.config.run.name}-{name}-r{number}"

    def _save(self, result: dict[str, Any]) -> None:
        write_text(self.folder / RESULTS, json.dumps(result, indent=2) + "\n")

    @contextmanager
    def _timed(self, number: int, part: str) -> Iterator[None]:
        """Adds up over calls, killed ones left out."""
        started_s = time.monotonic()
        try:
            yield
        finally:
            file, spent = self.folder / MINUTES, self._all_minutes()
            key = f"{number} {part}"
            spent[key] = round(spent.get(key, 0.0) + (time.monotonic() - started_s) / 60, 2)
            write_text(file, json.dumps(spent, indent=1) + "\n")

    def _all_minutes(self) -> dict[str, float]:
        file = self.folder / MINUTES
        return read_record(file) if file.is_file() else {}

    def _minutes(self, number: int) -> dict[str, float]:
        spent = (key.split(" ", 1) + [value] for key, value in self._all_minutes().items())
        return {part: value for of, part, value in spent if of == str(number)}  # type: ignore[misc]


def child_of(config: Config, checkpoint: Path, steps: int) -> Config:
    """Trains on from the checkpoint: optimiser and schedule begin anew, statistics stay. Its name is still the parent's.

    Its start is the parent's policy, which is measured already; so it has no baselines of its own.
    """
    tower = dataclasses.replace(config.tower, warm_up=dataclasses.replace(config.tower.warm_up, steps=0))
    return dataclasses.replace(
        config,
        tower=tower,  # the checkpoint brings one that has learned
        weights=WeightsConfig(name="local", path=str(checkpoint.absolute()), kind=config.model.name),
        train=dataclasses.replace(config.train, steps=steps),
        schedule=dataclasses.replace(config.schedule, decay_steps=0),
        eval=dataclasses.replace(config.eval, oracle_episodes=0, untrained_episodes=0),
        run=dataclasses.replace(config.run, mode=Mode.resume, checkpoint=None),
    )


def _named(policy: Policy) -> str:
    run = policy.config.run
    return f"{Path(run.experiment).name}/{run.name} at step {policy.checkpoint.name}"


def _plain(policy: Policy, row: SuccessRow) -> dict[str, Any]:
    told = {"run": str(policy.places.run), "checkpoint": str(policy.checkpoint), "digest": policy.digest}
    return told | {key: getattr(row, key) for key in ("k", "n", "low", "high", "k_at_end", "max_steps", "sub_goals")}


def _verdict(first: SuccessRow, second: SuccessRow) -> dict[str, Any]:
    verdict = compare_counts(first.k, first.n, second.k, second.n)
    return {"p": verdict.p, "differ": verdict.differ, "text": verdict.text}


def _say(text: str) -> None:
    print(f"== {text}", flush=True)
