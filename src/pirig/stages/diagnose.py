"""`pirig diagnose RUN [key=value ...]`: why does this run not succeed?

Measures the newest checkpoint of a run and writes RUN/diagnosis/diagnosis.html (and the numbers as diagnosis.json):
the contract and every gate; the open-loop action error on training and held-out frames (of ten new demos, where the
run held none out), by action number and by step of the chunk, beside always predicting the mean action and repeating
the last one; episodes that policy and demo share (one acts for a while, the other goes on); the funnel of sub-goals;
the input that evaluation feeds against the one that training saw; and a ranked list of causes with what to do. Some
minutes on a CPU.

  pirig diagnose outputs/quickstart/one
  pirig diagnose RUN run.checkpoint=RUN/checkpoints/500    another checkpoint than the newest
  pirig diagnose RUN gates.skip=[demo_replay]              without a gate
  pirig diagnose RUN train.validation_frames=64            fewer frames for the open-loop error (256 of each set)
  pirig diagnose RUN gates.replay_episodes=2               fewer episodes that policy and demo share (5),
                                                           and fewer new demos (10)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from pirig.config.schema import Config
    from pirig.contract import Contract
    from pirig.datasets.lerobot_read import Dataset
    from pirig.diagnosis.causes import Cause
    from pirig.diagnosis.evidence import Errors, Evidence, Outcome
    from pirig.diagnosis.open_loop import OpenLoop
    from pirig.evaluation.workers import WorkerPool
    from pirig.gates.finding import Report
    from pirig.policies.policy import Policy

T = TypeVar("T")


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    from pirig.config.load import of_run
    from pirig.config.places import DIAGNOSIS
    from pirig.diagnosis.page import nothing_found, verdict

    folder = Path(arguments[0])
    evidence, causes = make(of_run(folder, arguments[1:]))
    print(verdict(evidence))
    for place, cause in enumerate(causes, 1):
        print(f"{place:2}. {cause.says}\n    {cause.numbers}\n    do: {cause.remedy}")
    if not causes:
        print(nothing_found(evidence))
    for note in evidence.notes:
        print(f"note: {note}")
    print(f"page: {folder / DIAGNOSIS / 'diagnosis.html'}")
    return 0


def make(config: Config) -> tuple[Evidence, list[Cause]]:
    """Measures, ranks and writes the page."""
    from pirig.diagnosis import page
    from pirig.diagnosis.causes import ranked
    from pirig.files.atomic import write_text

    measurement = _Measurement(config)
    places, evidence = measurement.places, measurement.evidence()
    causes = ranked(evidence)
    write_text(places.diagnosis / "diagnosis.html", page.build(places.run.name, evidence, causes))
    numbers = {"causes": [dataclasses.asdict(one) for one in causes], "evidence": json.loads(evidence.to_json())}
    write_text(places.diagnosis / "diagnosis.json", json.dumps(numbers, indent=2) + "\n")
    return evidence, causes


class _Measurement:
    """One measurement that fails is a note on the page; the others go on."""

    def __init__(self, config: Config):
        from pirig.config.places import ASSETS, places_of, run_folder
        from pirig.contract import Contract
        from pirig.datasets.frame_cache import frame_cache
        from pirig.datasets.lerobot_read import Dataset
        from pirig.diagnosis import outcome
        from pirig.policies.card import PolicyCard
        from pirig.runs.progress import chosen_checkpoint

        self.config, self.notes = config, list[str]()
        self.checkpoint = chosen_checkpoint(config, run_folder(config))
        self.card = PolicyCard.load(self.checkpoint)
        self.contract = Contract.load(self.checkpoint / ASSETS)
        self.places = places_of(config, self.contract)
        self.dataset = Dataset(self.places.data_set)
        self.images = frame_cache(self.dataset, self.contract.image_px, self.places.frame_caches)
        self.held_out: list[int] = list(self.card.held_out_episodes)
        self.trained = [one for one in range(self.dataset.episode_count) if one not in set(self.held_out)]
        found = outcome.newest_evaluation(self.places.evaluations, self.checkpoint)
        self.outcome: Outcome | None = outcome.read(found) if found else None
        self.settings = self._settings(found)
        self.policy = self._policy()

    def evidence(self) -> Evidence:
        from pirig.diagnosis import outcome
        from pirig.diagnosis.evidence import Evidence

        report = self._tried("gates", self._gates)
        steps = int(self.checkpoint.name) if self.checkpoint.name.isdigit() else self.config.train.steps
        rows = self._rows(self.trained)
        found = Evidence(
            checkpoint=str(self.checkpoint),
            history=outcome.history(self.places.run, steps, self.config.train.batch_size, len(rows)),
            action_names=self.contract.action_layout.split(),
            contract=dataclasses.asdict(self.contract),
            contract_differences=self._contract_differences(),
            gates=report.found if report else {},
            gates_skipped=report.skipped if report else [],
            outcome=self.outcome,
            demo_lengths=list(self.dataset.lengths),
            **self._open_loop(rows),
            **self._closed_loop(),
        )
        return dataclasses.replace(found, notes=self.notes)

    def _tried(self, name: str, measure: Callable[[], T]) -> T | None:
        try:
            return measure()
        except (ValueError, RuntimeError) as error:
            self.notes.append(f"{name} could not be measured: {error}")
            return None

    def _settings(self, evaluation: Path | None) -> dict[str, Any]:
        """What the evaluation used: execute, flow_steps, batch_size, seed, limit; the config's own without one."""
        from pirig.evaluation.seeds import step_limit

        settings = self.config.eval
        if evaluation is not None:
            return json.loads((evaluation / "settings.json").read_text())
        self.notes.append("no evaluation of this checkpoint: `pirig eval RUN` measures the success rate and the funnel")
        limit = step_limit(settings.max_steps, settings.step_margin, self.card.demo_lengths)
        return {**dataclasses.asdict(settings), "limit": limit}

    def _policy(self) -> Policy:
        from pirig.policies.policy import load_policy

        return load_policy(
            self.checkpoint, flow_steps=self.settings["flow_steps"], batch_size=self.settings["batch_size"]
        )

    def _contract_differences(self) -> list[str]:
        from pirig.config.agreement import contract_of
        from pirig.contract import differences

        others: dict[str, Contract] = {"run": contract_of(self.config), "data set": self.dataset.contract}
        return [
            f"{name} and checkpoint: {text}"
            for name, other in others.items()
            for text in differences(other, self.contract)
        ]

    def _gates(self) -> Report:
        from pirig.gates import policy
        from pirig.gates.data import check
        from pirig.gates.finding import Report, run_gates

        settings, pipeline = self.config.gates, self.policy.pipeline
        served = run_gates(policy.gates(pipeline, self.card), settings.skip)
        more = pipeline, self.held_out, pipeline.relative
        data = check(self.dataset, pipeline.stats, pipeline.normalization, settings, *more)
        return Report({**data.found, **served.found}, data.skipped + served.skipped)

    def _rows(self, episodes: list[int]) -> np.ndarray:
        return np.concatenate([np.arange(self.dataset.frame_count)[self.dataset.episode_rows(one)] for one in episodes])

    def _open_loop(self, rows: np.ndarray) -> dict[str, Any]:
        count = self.config.train.validation_frames
        loop = self._loop_on(self.dataset, self.images)
        training = self._tried(
            "the error on training frames",
            lambda: loop.errors(self.trained, rows, count, inputs=True, label="training frames"),
        )
        held_out = self._tried("the error on held-out frames", lambda: self._held_out(loop, rows, count))
        return {"training": training, "held_out": held_out}

    def _held_out(self, loop: OpenLoop, rows: np.ndarray, count: int) -> Errors:
        """On the episodes that training left out; where it left none out, on demos made for this."""
        from pirig.stages import new_demos

        episodes = self.held_out
        if not episodes:
            number = 2 * self.config.gates.replay_episodes
            dataset, images = new_demos.make(self.config, self.contract, number, self.places.diagnosis)
            loop, episodes = self._loop_on(dataset, images), list(range(dataset.episode_count))
            rows = np.arange(dataset.frame_count)
            self.notes.append(
                f"the run held no episodes out: {len(episodes)} new demos ({dataset.folder}) stand in for them"
            )
        return loop.errors(episodes, rows, count, inputs=True, label="held-out frames")

    def _loop_on(self, dataset: Dataset, images: Mapping[str, np.ndarray]) -> OpenLoop:
        from pirig.diagnosis.open_loop import OpenLoop

        return OpenLoop(
            self.policy.predict,
            dataset,
            images,
            noise_shape=self.policy.noise_shape,
            batch_size=self.policy.batch_size,
            relative_to_state=self.policy.pipeline.relative_to_state,
        )

    def _closed_loop(self) -> dict[str, Any]:
        from pirig.evaluation.workers import WorkerPool
        from pirig.gates.simulated import available

        if not available(self.dataset):
            self.notes.append("no simulator for this data set here: no shared episodes, no input parity")
            return {}
        with WorkerPool(self.contract, self.config.eval.workers) as pool:
            return self._in_simulator(pool)

    def _in_simulator(self, pool: WorkerPool) -> dict[str, Any]:
        from pirig.diagnosis import parity, teacher_forced
        from pirig.evaluation.drivers import PolicyDriver
        from pirig.gates.simulated import demo_actions

        driver = PolicyDriver(self.policy, execute=self.settings["execute"], noise_seed=self.settings["seed"])
        count, limit = self.config.gates.replay_episodes, self.settings["limit"]
        chosen = self.trained[:: max(1, len(self.trained) // count)][:count]
        demos = {self.dataset.seeds[one]: demo_actions(self.dataset, self.policy.pipeline, one) for one in chosen}
        failed = self.outcome.failed_seeds[:count] if self.outcome else []
        found = {
            "parity": self._tried(
                "input parity", lambda: parity.measure(pool, self.policy, self.dataset, self.images, chosen[0])
            ),
            "hand_overs": self._tried(
                "shared episodes", lambda: teacher_forced.hand_overs(pool, driver, demos, max_steps=limit)
            ),
            "late": self._tried("longer episodes", lambda: teacher_forced.late(pool, driver, failed, limit))
            if failed
            else None,
        }
        return {name: value for name, value in found.items() if value is not None}
