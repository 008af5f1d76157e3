"""Everything that a diagnosis measures of a run's checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pirig.config.mixes import configs_of, shares_of
from pirig.config.places import ASSETS, Places, places_of, run_folder
from pirig.config.schema import Config
from pirig.contract import Contract, differences
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.in_place import open_folder
from pirig.diagnosis import new_demos, outcome, parity, teacher_forced
from pirig.diagnosis.evidence import Evidence, History, Outcome
from pirig.evaluation.drivers import PolicyDriver, demo_actions
from pirig.evaluation.lateness import steps_of
from pirig.evaluation.open_loop import Errors, OpenLoop, loop_of
from pirig.evaluation.seeds import step_limit
from pirig.evaluation.target import SETTINGS
from pirig.evaluation.workers import WorkerPool
from pirig.files.records import read_record
from pirig.gates import policy
from pirig.gates.data import NO_SCENES, check
from pirig.gates.finding import Report, run_gates
from pirig.policies.card import PolicyCard
from pirig.policies.policy import load_pipeline, load_policy
from pirig.runs.progress import chosen_checkpoint
from pirig.sim.door import unavailable

T = TypeVar("T")


class Measurement:
    """One measurement that fails is a note on the page; the others go on. `task`: of a mix, which of its tasks."""

    def __init__(self, config: Config, task: str = ""):
        self.whole, self.task = config, task
        self.config, self.notes = configs_of(config)[task], list[str]()
        self.checkpoint = chosen_checkpoint(config, run_folder(config))
        self.card = PolicyCard.load(self.checkpoint).of_task(task)
        trained = Contract.load(self.checkpoint / ASSETS)
        self.contract = trained.of_task(task) if task else trained
        self.asked, self.places = places_of(self.config).contract, self._places(places_of(config, trained))
        self.dataset = open_folder(self.places.data_set)
        self.images = frame_cache(self.dataset, self.contract.image_px, self.places.frame_caches)
        self.held_out: list[int] = list(self.card.held_out_episodes)
        self.trained = [episode for episode in range(self.dataset.episode_count) if episode not in set(self.held_out)]
        evaluation = outcome.newest_evaluation(self.places.evaluations, self.checkpoint)
        self.outcome: Outcome | None = outcome.read(evaluation, task) if evaluation else None
        self.settings = self._settings(evaluation)
        sizes = {name: self.settings[name] for name in ("flow_steps", "batch_size")}
        self.policy = load_policy(self.checkpoint, **sizes).of_task(task)

    def _places(self, places: Places) -> Places:
        """Of a mix: the task's own data set in the mix's run."""
        return dataclasses.replace(places.sources[self.task], run=places.run) if self.task else places

    @property
    def folder(self) -> Path:
        """Where the page lies; of a mix one folder for each task."""
        return self.places.diagnosis / self.task

    def evidence(self) -> Evidence:
        report = self._tried("gates", self._gates)
        steps = int(self.checkpoint.name) if self.checkpoint.name.isdigit() else self.config.train.steps
        rows = self._rows(self.trained)
        evidence = Evidence(
            checkpoint=str(self.checkpoint),
            history=self._history(steps, len(rows)),
            action_names=self.contract.action_layout.split(),
            contract=dataclasses.asdict(self.contract),
            contract_differences=self._contract_differences(),
            gates=report.found if report else {},
            gates_skipped=report.skipped if report else [],
            outcome=self.outcome,
            demo_lengths=list(self.dataset.lengths),
            label_errors=outcome.label_errors(self.places.run, list(self.config.losses), steps),
            clearance_mm=self.config.task.clearance_mm,
            **self._open_loop(rows),
            **self._closed_loop(),
        )
        return dataclasses.replace(evidence, notes=self.notes)

    def _history(self, steps: int, frames: int) -> History:
        """Epochs are those of the task's own frames, of which a mix draws its share."""
        drawn = self.config.train.batch_size * shares_of(self.whole)[self.task]
        return outcome.history(self.places.run, steps, drawn, frames)

    def _tried(self, name: str, measure: Callable[[], T]) -> T | None:
        print(f"== {name}", flush=True)
        try:
            return measure()
        except (ValueError, RuntimeError) as error:
            self.notes.append(f"{name} could not be measured: {error}")
            return None

    def _settings(self, evaluation: Path | None) -> dict[str, Any]:
        """What the evaluation used: execute, flow_steps, batch_size, seed, limit, steps_late; the config's own without one."""
        settings = self.config.eval
        if evaluation is not None:
            of_this_task = {"limit": self.outcome.limit} if self.outcome else {}
            told = read_record(evaluation / SETTINGS)
            return told | of_this_task | {"steps_late": steps_of(told.get("delay", "0"), evaluation)}
        self.notes.append("no evaluation of this checkpoint: `pirig eval RUN` measures the success rate and the funnel")
        limit = step_limit(settings.max_steps, settings.step_margin, self.card.usual_lengths)
        return {**dataclasses.asdict(settings), "limit": limit, "steps_late": 0}

    def _contract_differences(self) -> list[str]:
        others: dict[str, Contract] = {"run": self.asked, "data set": self.dataset.contract}
        return [
            f"{name} and checkpoint: {text}"
            for name, other in others.items()
            for text in differences(other, self.contract)
        ]

    def _gates(self) -> Report:
        settings, pipeline = self.config.gates, self.policy.pipeline
        served = run_gates(policy.gates(load_pipeline(self.checkpoint), self.card, self.config), settings.skip)
        trained_as = pipeline, self.held_out, pipeline.relative
        data = check(self.dataset, pipeline.stats, pipeline.normalization, settings, *trained_as)
        return Report({**data.found, **served.found}, data.skipped + served.skipped)

    def _rows(self, episodes: list[int]) -> np.ndarray:
        return np.concatenate(
            [np.arange(self.dataset.frame_count)[self.dataset.episode_rows(episode)] for episode in episodes]
        )

    def _open_loop(self, rows: np.ndarray) -> dict[str, Any]:
        count = self.config.train.validation_frames
        loop = loop_of(self.policy, self.dataset, self.images)
        training = self._tried(
            "the error on training frames",
            lambda: loop.errors(self.trained, rows, count, inputs=True, label="training frames"),
        )
        held_out = self._tried("the error on held-out frames", lambda: self._held_out(loop, rows, count))
        return {"training": training, "held_out": held_out}

    def _held_out(self, loop: OpenLoop, rows: np.ndarray, count: int) -> Errors:
        """On the episodes that training left out; where it left none out, on demos made for this."""
        episodes = self.held_out
        if not episodes:
            number = 2 * self.config.gates.replay_episodes
            dataset, images = new_demos.make(self.config, self.contract, number, self.folder)
            loop, episodes = loop_of(self.policy, dataset, images), list(range(dataset.episode_count))
            rows = np.arange(dataset.frame_count)
            self.notes.append(
                f"the run held no episodes out: {len(episodes)} new demos ({dataset.folder}) stand in for them"
            )
        return loop.errors(episodes, rows, count, inputs=True, label="held-out frames")

    def _closed_loop(self) -> dict[str, Any]:
        unknown = "" if self.dataset.scenes_known else NO_SCENES
        if why_not := unavailable(self.dataset.contract) or unknown:
            self.notes.append(f"no shared episodes, no input parity: {why_not}")
            return {}
        with WorkerPool(self.contract, self.config.eval.workers) as pool:
            return self._in_simulator(pool)

    def _in_simulator(self, pool: WorkerPool) -> dict[str, Any]:
        driver = PolicyDriver(
            self.policy,
            execute=self.settings["execute"],
            noise_seed=self.settings["seed"],
            ensemble=self.settings.get("ensemble", 0.0),
            delay=self.settings["steps_late"],
            rtc=self.settings.get("rtc", False),
        )
        count, limit = self.config.gates.replay_episodes, self.settings["limit"]
        chosen = self.trained[:: max(1, len(self.trained) // count)][:count]
        demos = {
            self.dataset.seeds[episode]: demo_actions(self.dataset, self.policy.pipeline, episode) for episode in chosen
        }
        failed = self.outcome.failed_seeds[:count] if self.outcome else []
        measured = {
            "parity": self._tried(
                "input parity", lambda: parity.measure(pool, self.policy, self.dataset, self.images, chosen[0])
            ),
            "hand_overs": self._tried(
                "shared episodes",
                lambda: teacher_forced.hand_overs(
                    pool, driver, demos, max_steps=limit, starts=self.dataset.start_of_scene
                ),
            ),
            "late": self._tried("longer episodes", lambda: teacher_forced.late(pool, driver, failed, limit))
            if failed
            else None,
        }
        return {name: value for name, value in measured.items() if value is not None}
