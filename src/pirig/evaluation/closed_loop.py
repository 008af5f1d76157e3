"""Success rates in the simulator: of the policy, and beside it its two baselines: the demos replayed, and what training
started from. Those are the given weights of a fine-tuning (`zero_shot`), or random parameters (`untrained`).

Either baseline is left out where no episodes are asked of it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pirig.config.measuring import SimBackend
from pirig.config.places import Places
from pirig.config.schema import Config
from pirig.contract import Contract
from pirig.datasets.in_place import open_folder
from pirig.evaluation import lockstep
from pirig.evaluation.drivers import DemoDriver, PolicyDriver, demo_actions, exchanged
from pirig.evaluation.lateness import Lateness, lateness
from pirig.evaluation.measured import UNTRAINED, ZERO_SHOT, Measured, SuccessRow, started_from, with_spread
from pirig.evaluation.motion import jerk, stale_share
from pirig.evaluation.results import ResultsFile, came_down_mm, sub_goals
from pirig.evaluation.rollouts import Driver, roll_out
from pirig.evaluation.seeds import held_out_scenes
from pirig.evaluation.served import require_same
from pirig.evaluation.target import DIGEST, Target, require_trained_on
from pirig.evaluation.videos import film
from pirig.evaluation.workers import Pool, WorkerPool
from pirig.models.layout import Tree
from pirig.models.sizes import ModelConfig
from pirig.policies.best_of import chosen_by_critic
from pirig.policies.given import Given
from pirig.policies.policy import Policy, load_pipeline, load_policy
from pirig.policies.remote import RemotePolicy
from pirig.sim.door import State, group_of, in_groups, in_turns
from pirig.training.loop import initial_key, initial_params

ROWS = ("oracle", ZERO_SHOT, UNTRAINED, "policy")  # in the order in which they are measured
SHOWN = ("policy", "oracle", ZERO_SHOT, UNTRAINED)


@dataclass(frozen=True)
class Row:
    """`driver` is made where an episode is missing: a policy takes seconds to load. `starts`: of the scenes that begin
    elsewhere than a reset to them does."""

    driver: Callable[[], Driver]
    scenes: list[int]
    max_steps: int
    starts: Callable[[], dict[int, State]] = dict


@dataclass
class ClosedLoop:
    """Episodes that lie in `target` are not run again. `before` is asked with the pool, ahead of the first episode. `task`:
    which of a mix's the checkpoint is asked for.

    `given`: a checkpoint that was not trained here, in place of `checkpoint`; neither of both: a server's policy. Then nothing
    stands beside it but the demos, where there are any.
    """

    config: Config
    places: Places
    checkpoint: Path | None
    demo_seeds: list[int]
    demo_lengths: list[int]
    target: Target
    before: Callable[[Pool], None] = lambda pool: None
    task: str = ""
    given: Given | None = None

    def measure(self) -> Measured:
        plan = self._plan()
        self._require_server()
        with self._pool() as pool:
            self.before(pool)
            rows = {name: self._row(pool, name, plan[name]) for name in ROWS if name in plan and plan[name].scenes}
        tasks = self._of_tasks({name: plan[name].scenes for name in SHOWN if name in rows})
        return Measured({name: with_spread(rows[name], name, tasks) for name in SHOWN if name in rows}, tasks)

    def _require_server(self) -> None:
        """Raises ValueError where the policy's server is away or another's, or serves another policy than that of the results,
        before the baselines take their minutes."""
        settings = self.config.eval
        if settings.server:
            policy = served_at(settings.server, self.places.contract, settings.layout, connections=1)
            policy.close()
            require_same(self.target.folder, policy)

    def _plan(self) -> dict[str, Row]:
        settings = self.config.eval
        count = max(settings.episodes, settings.untrained_episodes)
        held_out = held_out_scenes(settings.first_seed, count, self.demo_seeds)
        in_groups(self.places.contract, held_out)  # before anything starts: they all exist
        alone = self.given or self.checkpoint is None
        before = {} if alone else {started_from(self.config): held_out[: settings.untrained_episodes]}
        return {
            "oracle": Row(
                self._oracle,
                in_turns(self.places.contract, self.demo_seeds)[: settings.oracle_episodes],
                max(self.demo_lengths, default=0),
                self._starts,
            ),
            **{name: Row(self._start, scenes, self.target.limit) for name, scenes in before.items()},
            "policy": Row(self._policy, held_out[: settings.episodes], self.target.limit),
        }

    def _pool(self) -> WorkerPool | lockstep.LockstepPool:
        settings, contract = self.config.eval, self.places.contract
        if settings.sim_backend == SimBackend.gpu:
            return lockstep.LockstepPool(contract, settings.num_envs, settings.workers)
        return WorkerPool(contract, settings.workers)

    def _row(self, pool: Pool, name: str, row: Row) -> SuccessRow:
        results, settings = ResultsFile(self.target.folder / name), self.config.eval
        starts = row.starts()
        if any(scene not in results.done for scene in row.scenes):
            told: dict[str, Any] = {"max_steps": row.max_steps, "results": results, "starts": starts}
            ordered = in_groups(self.places.contract, row.scenes)
            roll_out(pool, row.driver(), ordered, label=f"eval {name}", **told)
        videos = film(
            pool,
            results,
            row.scenes,
            self.target.folder / name / "videos",
            count=settings.videos,
            every=settings.video_every,
            fps=self.places.contract.control_hz,
            starts=starts,
        )
        episodes = results.results(row.scenes)
        late = {} if name == "oracle" else self._late_numbers([episode.steps for episode in episodes])
        files = [str(path) for path in videos]
        return dataclasses.replace(self._numbers(results, row.scenes), max_steps=row.max_steps, videos=files, **late)

    def _of_tasks(self, scenes: Mapping[str, list[int]]) -> dict[str, dict[str, SuccessRow]]:
        """Of a suite, by task the rows that have episodes of it; {} of one task."""
        contract = self.places.contract
        if len(contract.scenes) < 2:
            return {}
        tasks: dict[str, dict[str, SuccessRow]] = {}
        for number, task in enumerate(contract.scenes):
            for name, all_scenes in scenes.items():
                if own := [scene for scene in all_scenes if group_of(contract, scene) == number]:
                    tasks.setdefault(task.task, {})[name] = self._numbers(ResultsFile(self.target.folder / name), own)
        return tasks

    def _numbers(self, results: ResultsFile, scenes: list[int]) -> SuccessRow:
        episodes = results.results(scenes)
        return SuccessRow(
            **dataclasses.asdict(results.rate(scenes)),
            sub_goals=sub_goals(episodes),
            mean_steps=sum(episode.steps for episode in episodes) / len(episodes),
            first_seed=scenes[0],
            gates_skipped=list(self.config.gates.skip),
            episodes=str(results.path),
            came_down_mm=came_down_mm(episodes),
            jerk=jerk(results.all_actions(scenes), self.places.contract),
        )

    def _late_numbers(self, steps: list[int]) -> dict[str, Any]:
        settings, late = self.config.eval, self._lateness
        stale = stale_share(steps, settings.execute, late.steps)
        return {"delay": late.steps, "latency_ms": late.latency_ms, "rtc": settings.rtc, "stale": stale}

    @cached_property
    def _lateness(self) -> Lateness:
        """Of a mix one for all its tasks."""
        folder = self.target.folder.parent if self.task else self.target.folder
        return lateness(self.config.eval, lambda: self._acts, self.places.contract, folder)

    def _policy(self) -> Driver:
        return self._driver(self._acts)

    @cached_property
    def _acts(self) -> Policy | RemotePolicy:
        settings = self.config.eval
        if settings.server:
            return served_at(settings.server, self.places.contract, settings.layout, settings.batch_size)
        sizes = {"flow_steps": settings.flow_steps, "batch_size": settings.batch_size}
        policy = self.given.policy(**sizes) if self.given else load_policy(self._own, **sizes).of_task(self.task)
        return chosen_by_critic(policy, settings, self.target.settings.get(DIGEST, ""))

    @property
    def _own(self) -> Path:
        assert self.checkpoint is not None
        return self.checkpoint

    def _start(self) -> Driver:
        """The parameters that training started from: the given weights, or the random ones of the seed."""
        pipeline, settings = load_pipeline(self._own).of_task(self.task), self.config.eval
        params = start_of(self.config, pipeline.model_config)
        policy = Policy(params, pipeline, flow_steps=settings.flow_steps, batch_size=settings.batch_size)
        return self._driver(policy)

    def _driver(self, policy: Policy | RemotePolicy) -> Driver:
        settings = self.config.eval
        return PolicyDriver(
            policy,
            execute=settings.execute,
            noise_seed=settings.seed,
            ensemble=settings.ensemble,
            delay=self._lateness.steps,
            rtc=settings.rtc,
            told=exchanged(self.places.contract) if settings.exchange_prompts else {},
        )

    def _starts(self) -> dict[int, State]:
        """{} where the data set is gone: then its demos can be filmed no more, but what was measured stays."""
        return open_folder(self.places.data_set).start_of_scene if self.places.data_set.is_dir() else {}

    def _oracle(self) -> Driver:
        """The data set's actions, normalised and back as a policy's are where one is here, in the scenes of its demos."""
        dataset, pipeline = open_folder(self.places.data_set), self.given.pipeline if self.given else None
        if not self.given and self.checkpoint is not None:
            pipeline = load_pipeline(self.checkpoint).of_task(self.task)
            require_trained_on(self.checkpoint, dataset)
        return DemoDriver(
            {scene: demo_actions(dataset, pipeline, episode) for episode, scene in enumerate(dataset.seeds)}
        )


def served_at(uri: str, contract: Contract, layout: str, connections: int) -> RemotePolicy:
    """Raises ContractError where the server says another contract, ServerError where nobody answers."""
    key = os.environ.get("PIRIG_API_KEY", "")
    return RemotePolicy(uri, contract, layout=layout, api_key=key, connections=connections)


def start_of(config: Config, model: ModelConfig) -> Tree:
    """The whole parameters before the first step; fresh low-rank leaves change nothing. Raises ValueError where the weights
    that training started from are gone."""
    from pirig.weights.fetch import resolve
    from pirig.weights.load import on_device, start_from

    source = resolve(config.weights)
    if source is None:
        return initial_params(config.train, model)
    return start_from(source, model, initial_key(config.train), place=on_device)[0]
