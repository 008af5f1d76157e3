"""`pirig eval`: the success rate of a checkpoint, beside its two baselines: the demos replayed and the untrained model.

For an arm that is not simulated: the open-loop action error on recorded episodes, since success is measured on the arm.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.config.places import ASSETS, Places, places_of
from pirig.config.schema import Config, Mode, SimBackend
from pirig.contract import Contract, require_equal
from pirig.evaluation.target import RATES, recorded_folder, result_settings, results_folder
from pirig.files.atomic import write_text
from pirig.gates import policy
from pirig.gates.finding import Report, require_good, run_gates, save
from pirig.runs.lock import held
from pirig.runs.progress import chosen_checkpoint
from pirig.runs.record import set_status

if TYPE_CHECKING:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.evaluation.lockstep import LockstepPool
    from pirig.evaluation.rollouts import Driver
    from pirig.evaluation.workers import Pool, WorkerPool
    from pirig.policies.card import PolicyCard

ROWS = ("oracle", "untrained", "policy")


def run(config: Config) -> int:
    places = places_of(config)
    chosen_checkpoint(config, places.run)  # or there is nothing to hold
    with held(places.run):
        rates = make(config, places)
    show(config, rates)
    return 0


def require_simulator(config: Config) -> None:
    """Raises ValueError where the evaluation's simulator needs a GPU that is not here."""
    if config.eval.sim_backend == SimBackend.gpu:
        from pirig.sim.maniskill.vector_env import require_device

        require_device()


def show(config: Config, rates: dict[str, dict[str, Any]]) -> None:
    if not config.robot.simulated:
        from pirig.diagnosis.on_recording import lines

        print("\n".join(lines(rates)))
        return
    for name, row in rates.items():
        print(f"{name:10} {row['k']}/{row['n']}  {row['low']:.1%} to {row['high']:.1%} (Wilson 95 %)")


def make(config: Config, places: Places) -> dict[str, dict[str, Any]]:
    """{"policy", "oracle", "untrained"} -> k, n, low, high, k_at_end, steps of the limit, sub_goals.

    Episodes that are on disk for this checkpoint and these settings are not measured again unless run.mode=overwrite.
    Raises ContractError before anything starts where the checkpoint was trained under another contract.
    Of an arm that is not simulated: {"held_out", "training"} -> open-loop action errors (`diagnosis.on_recording`).
    """
    from pirig.evaluation.seeds import step_limit
    from pirig.policies.card import PolicyCard

    checkpoint = chosen_checkpoint(config, places.run)
    contract = Contract.load(checkpoint / ASSETS)
    require_equal(places.contract, contract, our_name="this run", their_name=f"checkpoint {checkpoint}")
    card = PolicyCard.load(checkpoint)
    if not config.robot.simulated:
        return _on_recording(config, places, checkpoint, card)
    require_simulator(config)
    limit = step_limit(config.eval.max_steps, config.eval.step_margin, card.demo_lengths)
    report = _gates(config, checkpoint, card)
    target = _target(config, places, checkpoint, limit)
    save(report, target)
    set_status(places.run, "eval", "running", checkpoint=str(checkpoint))
    rates = _Measurement(config, places, checkpoint, card, limit, target, report).rows()
    write_text(target / RATES, json.dumps(rates, indent=2) + "\n")
    set_status(places.run, "eval", "done", checkpoint=str(checkpoint))
    return {name: rates[name] for name in ("policy", "oracle", "untrained")}


def _on_recording(config: Config, places: Places, checkpoint: Path, card: PolicyCard) -> dict[str, dict[str, Any]]:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.diagnosis.on_recording import measure
    from pirig.policies.policy import load_policy

    report = _gates(config, checkpoint, card)
    target = recorded_folder(places.evaluations, checkpoint, config.eval.flow_steps)
    save(report, target)
    set_status(places.run, "eval", "running", checkpoint=str(checkpoint))
    dataset = Dataset(places.data_set)
    policy = load_policy(checkpoint, flow_steps=config.eval.flow_steps, batch_size=config.eval.batch_size)
    found = measure(policy, dataset, list(card.held_out_episodes), config, places, target)
    set_status(places.run, "eval", "done", checkpoint=str(checkpoint))
    return found


def _gates(config: Config, checkpoint: Path, card: PolicyCard) -> Report:
    """Raises GateError where the checkpoint would not be served as it was trained."""
    from pirig.policies.policy import load_pipeline

    if card.horizon != config.horizon.steps:
        raise ValueError(
            f"horizon={config.horizon.steps}: {checkpoint} was trained with horizon {card.horizon}; give that one."
        )
    pipeline, asked = load_pipeline(checkpoint), tuple(config.control.relative_to_state)
    if pipeline.relative_to_state != asked:
        raise ValueError(
            f"control.relative_to_state={list(asked)}: {checkpoint} was trained with {list(pipeline.relative_to_state)}; give "
            "that one."
        )
    report = run_gates(policy.gates(pipeline, card), config.gates.skip)
    require_good(report, "evaluation")
    return report


def _target(config: Config, places: Places, checkpoint: Path, limit: int) -> Path:
    settings = result_settings(config, checkpoint, limit)
    target = results_folder(places.evaluations, checkpoint, settings)
    if target.exists() and config.run.mode == Mode.overwrite:
        from pirig.files.atomic import move_aside

        print(f"moved the older results to {move_aside(target)}", file=sys.stderr)
    write_text(target / "settings.json", json.dumps(settings, indent=2) + "\n")
    return target


@dataclasses.dataclass
class _Measurement:
    config: Config
    places: Places
    checkpoint: Path
    card: PolicyCard
    limit: int
    target: Path
    report: Report  # of the gates that were asked without a simulator

    def rows(self) -> dict[str, dict[str, Any]]:
        from pirig.evaluation.seeds import held_out_seeds

        settings, demo_seeds = self.config.eval, list(self.card.demo_seeds)
        held_out = held_out_seeds(settings.first_seed, max(settings.episodes, settings.untrained_episodes), demo_seeds)
        plan: dict[str, tuple[Callable[[], Driver], list[int], int]] = {
            "oracle": (self._oracle, demo_seeds[: settings.oracle_episodes], max(self.card.demo_lengths)),
            "untrained": (self._untrained, held_out[: settings.untrained_episodes], self.limit),
            "policy": (self._policy, held_out[: settings.episodes], self.limit),
        }
        with self._pool() as pool:
            self._require_same_physics(pool)
            return {name: self._row(pool, name, *plan[name]) for name in ROWS}

    def _pool(self) -> WorkerPool | LockstepPool:
        from pirig.evaluation.lockstep import LockstepPool
        from pirig.evaluation.workers import WorkerPool

        settings = self.config.eval
        if settings.sim_backend == SimBackend.gpu:
            return LockstepPool(self.places.contract, settings.num_envs, settings.workers)
        return WorkerPool(self.places.contract, settings.workers)

    def _require_same_physics(self, pool: Pool) -> None:
        """The demos were made on the CPU: a GPU must show what they show, and their actions must succeed there."""
        if self.config.eval.sim_backend == SimBackend.cpu:
            return
        from pirig.gates.data import in_simulator
        from pirig.policies.policy import load_pipeline

        asked = in_simulator(self._dataset(), load_pipeline(self.checkpoint), pool, self.config.gates)
        save(Report(self.report.found | asked.found, self.report.skipped + asked.skipped), self.target)
        require_good(asked, "evaluation on a GPU")

    def _dataset(self) -> Dataset:
        from pirig.datasets.lerobot_read import Dataset

        return Dataset(self.places.data_set)

    def _row(
        self, pool: Pool, name: str, driver: Callable[[], Driver], seeds: list[int], max_steps: int
    ) -> dict[str, Any]:
        from pirig.evaluation.results import ResultsFile, sub_goals
        from pirig.evaluation.rollouts import roll_out
        from pirig.evaluation.videos import film

        results = ResultsFile(self.target / name)
        if any(seed not in results.done for seed in seeds):
            roll_out(pool, driver(), seeds, max_steps=max_steps, results=results, label=f"eval {name}")
        settings = self.config.eval
        videos = film(
            pool,
            results,
            seeds,
            self.target / name / "videos",
            count=settings.videos,
            every=settings.video_every,
            fps=self.places.contract.control_hz,
        )
        found = results.results(seeds)
        return {
            **dataclasses.asdict(results.rate(seeds)),
            "sub_goals": sub_goals(found),
            "mean_steps": sum(result.steps for result in found) / len(found),
            "max_steps": max_steps,
            "first_seed": seeds[0],
            "gates_skipped": list(self.config.gates.skip),
            "episodes": str(results.path),
            "videos": [str(path) for path in videos],
        }

    def _policy(self) -> Driver:
        from pirig.evaluation.drivers import PolicyDriver
        from pirig.policies.policy import load_policy

        policy = load_policy(
            self.checkpoint, flow_steps=self.config.eval.flow_steps, batch_size=self.config.eval.batch_size
        )
        return PolicyDriver(policy, execute=self.config.eval.execute, noise_seed=self.config.eval.seed)

    def _untrained(self) -> Driver:
        """The parameters that training started from."""
        from pirig.evaluation.drivers import PolicyDriver
        from pirig.policies.policy import Policy, load_pipeline
        from pirig.training.loop import initial_params

        pipeline, settings = load_pipeline(self.checkpoint), self.config.eval
        params = initial_params(self.config.train, pipeline.model_config)
        policy = Policy(params, pipeline, flow_steps=settings.flow_steps, batch_size=settings.batch_size)
        return PolicyDriver(policy, execute=settings.execute, noise_seed=settings.seed)

    def _oracle(self) -> Driver:
        """The data set's actions, normalised and back as a policy's are, from the seeds that they were recorded on."""
        from pirig.evaluation.drivers import DemoDriver
        from pirig.gates.simulated import demo_actions
        from pirig.policies.policy import load_pipeline

        dataset, pipeline = self._dataset(), load_pipeline(self.checkpoint)
        return DemoDriver({seed: demo_actions(dataset, pipeline, one) for one, seed in enumerate(dataset.seeds)})
