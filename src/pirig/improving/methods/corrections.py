"""`improve=corrections`: roll the policy out, find where it lost its way, let the planner solve from there, train on that too."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from pirig.config.places import places_of
from pirig.config.schema import Config
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make import make_data_set
from pirig.demos import door, identity
from pirig.demos.collect import collect
from pirig.demos.manifest import DemosManifest
from pirig.demos.origins import Origins
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.target import require_trained_on
from pirig.files.atomic import write_text
from pirig.files.identity import digest_of
from pirig.files.records import read_record
from pirig.improving.acting import require_acts, rolled_out
from pirig.improving.door import Made, Policy, Round
from pirig.improving.lost import Lost, limits, lost_at
from pirig.improving.watching import Acted, watched
from pirig.sim.door import State

LIMITS, MOMENTS, STATES = "limits.json", "moments.json", "states"
HELD = "held"  # lost its way with an object in the hand, so that no planner can begin there
PACKAGES = {"maniskill": "mani_skill"}  # whose version a plan depends on


class Corrections:
    until_level = False

    def arm(self, config: Config) -> str:
        return "corrected"

    def require(self, policy: Policy) -> None:
        config, contract = policy.config, policy.places.contract
        require_acts(
            policy,
            "improve=corrections",
            "and nobody plans from where it lost its way: record such corrections on the arm (`pirig collect`) and train on them "
            "with the other episodes",
        )
        if not config.task.solver:
            raise ValueError(
                f"task={config.task.name} names no solver (task.solver), so nothing plans from where the policy lost its way; "
                "give task.solver=NAME of one of ManiSkill's planners, or record corrections and give them as demos.path=FILE."
            )
        door.expert(contract, config.task, labels=config.demos.labels)

    def settings(self, config: Config) -> dict[str, Any]:
        return {
            **dataclasses.asdict(config.improve.corrections),
            "solver": config.task.solver,
            "hold_steps": config.task.hold_steps,
            "max_steps": config.eval.max_steps,
            "step_margin": config.eval.step_margin,
        }

    def make(self, round: Round) -> Made:
        work = _Work(round)
        results = work.rolled_out()
        failed = [scene for scene in work.scenes if not results.done[scene].success]
        found = work.moments(results, failed)
        places_at = {scene: lost for scene, lost in found.items() if lost.what != HELD}
        counted = {
            "scenes": [work.scenes[0], work.scenes[-1]],
            "rolled_out": len(work.scenes),
            "succeeded": len(work.scenes) - len(failed),
            "environment_steps": sum(results.done[scene].steps for scene in work.scenes),
            "lost": dict(Counter(lost.what for lost in places_at.values())),
            "left_out_held": len(found) - len(places_at),
        }
        if not places_at:
            return Made(None, {**counted, "corrections": 0})
        manifest = work.corrected(places_at)
        if not manifest.kept:
            return Made(None, {**counted, "corrections": 0})
        child = work.child
        folder = make_data_set(child, places_of(child))
        dataset = Dataset(folder)
        kept = len(dataset.corrections) - len(work.parent.corrections)
        return Made(
            child,
            {
                **counted,
                "corrections": kept,
                "wandering_left_out": manifest.kept - kept,
                "data_set": {
                    "folder": str(folder),
                    "digest": dataset.content_hash[:16],
                    "episodes": dataset.episode_count,
                },
                "parent": {"folder": str(work.parent.folder), "digest": work.parent.content_hash[:16]},
            },
        )


@dataclass
class _Work:
    """The parts of one round."""

    round: Round

    def __post_init__(self) -> None:
        self.policy = self.round.policy
        self.config, self.places = self.policy.config, self.policy.places
        self.parent = Dataset(self.places.data_set)
        require_trained_on(self.policy.checkpoint, self.parent)
        settings = self.config.improve
        first = settings.corrections.first_seed + (self.round.number - 1) * settings.scenes
        self.scenes = list(range(first, first + settings.scenes))
        demos = dataclasses.replace(self.config.demos, corrected=self.round.name)
        train = dataclasses.replace(self.config.train, corrections_share=settings.corrections.share)
        own = dataclasses.replace(self.config.dataset, path="")  # it is made here, whoever made its parent
        self.child = dataclasses.replace(self.config, demos=demos, train=train, dataset=own)

    @property
    def _parent_name(self) -> str:
        """As `Origins` names it: what lies beside the new one by its folder, what was given by its path."""
        return self.places.data_set_name if self.config.dataset.path else self.places.data.name

    def rolled_out(self) -> ResultsFile:
        label = f"round {self.round.number}: roll-outs"
        return rolled_out(self.policy, self.scenes, self.round.folder / "rollouts", label)

    def limits(self) -> dict[str, int]:
        """After how many steps each sub-goal is late."""
        file, settings = self.round.folder / LIMITS, self.config.improve.corrections
        if file.is_file():
            return read_record(file)
        demos = self.parent.corrections.start
        chosen = np.unique(np.linspace(0, demos - 1, min(settings.timed_demos, demos)).astype(int)).tolist()
        acted = [
            Acted(self.parent.seeds[one], self.parent.actions[self.parent.episode_rows(one)], self.parent.starts[one])
            for one in chosen
        ]
        label = f"round {self.round.number}: the demos' times"
        seen = [each.timeline for each in watched(self.places.contract, acted, self.config.eval.workers, label)]
        allowed = limits(seen, settings.late)
        write_text(file, json.dumps(allowed, indent=1) + "\n")
        return allowed

    def moments(self, results: ResultsFile, failed: list[int]) -> dict[int, Lost]:
        """By scene, where the episodes that failed lost their way, their states beside it; HELD where none can be used."""
        file, folder = self.round.folder / MOMENTS, self.round.folder / STATES
        known = {int(scene): Lost(**lost) for scene, lost in read_record(file).items()} if file.is_file() else {}
        missing = [scene for scene in failed if scene not in known]
        if not missing:
            return known
        allowed = self.limits()
        folder.mkdir(exist_ok=True)
        acted = [Acted(scene, results.actions(scene)) for scene in missing]
        label = f"round {self.round.number}: where it lost its way"
        for seen in watched(self.places.contract, acted, self.config.eval.workers, label):
            lost = lost_at(seen.timeline, allowed)
            if lost is not None:
                np.savez(folder / f"{seen.scene}.npz", **seen.states[lost.step - 1])
            known[seen.scene] = lost or Lost(len(seen.states), HELD)
            plain = {scene: dataclasses.asdict(known[scene]) for scene in sorted(known)}
            write_text(file, json.dumps(plain, indent=1) + "\n")
        return known

    def state(self, scene: int) -> State:
        with np.load(self.round.folder / STATES / f"{scene}.npz") as arrays:
            return {name: arrays[name] for name in arrays.files}

    def corrected(self, lost: dict[int, Lost]) -> DemosManifest:
        """The planner's episodes from there, as demos in the folder of the data set that they belong to."""
        contract, folder = self.places.contract, places_of(self.child).demos
        states = {scene: self.state(scene) for scene in sorted(lost)}
        expert = door.expert(contract, self.config.task, labels=self.config.demos.labels)
        source = FromStates(expert, states, self.config.horizon.steps)
        settings = {
            "labels": self.config.demos.labels,
            "checkpoint": self.policy.digest,
            "planner": _planner(contract.simulator),
        }
        parts = [f"{scene}:{_digest_of_state(state)}" for scene, state in states.items()]
        asked = identity.asked_of(contract, source.name, len(states), settings, parts)
        folder.mkdir(parents=True, exist_ok=True)
        told = {scene: dataclasses.asdict(lost[scene]) for scene in states}
        Origins(self._parent_name, self.policy.digest, self.round.number, told).save(folder)
        manifest = collect(
            contract, source, list(states), len(states), self.config.demos.workers, folder, asked, least=0
        )
        print(f"corrections: {manifest.kept} of {len(states)} solved by the planner", flush=True)
        return manifest


class FromStates:
    """What `demos.collect` asks: an episode by scene, from the state in which a policy lost its way there."""

    def __init__(self, expert: door.Expert, states: dict[int, State], shortest: int):
        self.expert, self.states, self.shortest, self.name = expert, states, shortest, expert.name

    def open(self) -> None:
        self.expert.open()

    def episode(self, seed: int) -> dict[str, np.ndarray] | None:
        """None too where it is shorter than an action chunk: next to nothing was left to do."""
        solved = self.expert.solve(seed, self.states[seed])
        return solved if solved is not None and len(solved["actions"]) >= self.shortest else None


def _digest_of_state(state: State) -> str:
    return digest_of({name: np.asarray(part, np.float32).tolist() for name, part in sorted(state.items())})


def _planner(simulator: str) -> str:
    package = PACKAGES.get(simulator, simulator)
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


METHOD = Corrections()
