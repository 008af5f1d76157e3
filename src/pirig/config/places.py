"""Every folder and file that a config's data and run have, named once; made before a stage and handed on. Creates nothing.

<root>/data/<task>-<camera>-<source>-<contract>/     shared by every run that asks for the same demos
    demos/  lerobot/  frames-<px>px-<key>/           lerobot-v2.1-h264/ and so on: the same in another form
<root>/<experiment>/<name>/                          a run
    checkpoints/<step>/assets/pirig/  eval/  diagnosis/
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from pirig.config.agreement import contract_of
from pirig.config.keeping import DatasetConfig
from pirig.config.mapping import DataConfig
from pirig.config.mixes import PER_SOURCE, configs_of
from pirig.config.schema import Config, DemosConfig, TaskConfig
from pirig.contract import Contract

DATA = "data"  # beside the experiments
DEMOS, DATA_SET = "demos", "lerobot"  # of a data folder
META = "meta/pirig"  # of a data set: what other readers of the format pass over
CHECKPOINTS, EVALUATIONS, CURVES, DIAGNOSIS = "checkpoints", "eval", "choice", "diagnosis"  # of a run
IMPROVEMENTS, LINEAGE = "improve", "lineage.json"  # of a run: what was made of its policy; of a child: whose it is
ROLLOUTS = "rollouts"  # of a run: its policy's own episodes
ASSETS = "assets/pirig"  # of a checkpoint: what a policy is rebuilt with
POLICY_FILE, STATS_FILE, TOKENIZER_FILE = "policy.json", "norm_stats.json", "tokenizer.model"  # of the assets


@dataclass(frozen=True)
class Places:
    """`contract`: what data, policy and simulator agree on. `norm_stats`: the data set's, of all its episodes.

    `sources`: of a mix, the places of each task's own demos and data set, which it shares with runs of that task alone; the
    mix itself has no demos and no data set, only their joint statistics, or with `per_source` none either.
    """

    contract: Contract
    data: Path
    run: Path
    norm_stats: Path
    sources: Mapping[str, Places] = field(default_factory=dict)
    per_source: bool = False
    data_set_name: str = DATA_SET

    @property
    def of_tasks(self) -> tuple[Places, ...]:
        """Where demos and data sets lie: one place for each task."""
        return tuple(self.sources.values()) or (self,)

    @property
    def demos(self) -> Path:
        return self.data / DEMOS

    @property
    def data_set(self) -> Path:
        return self.data / self.data_set_name

    @property
    def frame_caches(self) -> Path:
        """The folder that frame caches lie in, one for each size and content."""
        return self.data

    def scenes(self, task: str, digest: str) -> Path:
        """Labelled scenes of a task, by what they were drawn from."""
        return self.data.parent / f"scenes-{task}-{digest}"

    def warm_up(self, tower: str, digest: str) -> Path:
        """A tower that has been warmed up, by what it has learned from."""
        return self.data.parent / f"tower-{tower}-{digest}"

    @property
    def statistics(self) -> dict[str, Path]:
        """What numbers are normalised with, of all episodes: {"": one file for every task}, or a file by task."""
        return (
            {task: own.norm_stats for task, own in self.sources.items()} if self.per_source else {"": self.norm_stats}
        )

    @property
    def own_statistics(self) -> dict[str, Path]:
        """The same of a run that holds episodes out."""
        return {task: stats_of_task(self.run, task) for task in self.statistics}

    @property
    def checkpoints(self) -> Path:
        return self.run / CHECKPOINTS

    @property
    def evaluations(self) -> Path:
        return self.run / EVALUATIONS

    @property
    def choice(self) -> Path:
        """Rates of several checkpoints on scenes of their own; they are no result of the run."""
        return self.run / CURVES

    @property
    def diagnosis(self) -> Path:
        return self.run / DIAGNOSIS

    @property
    def summary(self) -> Path:
        return self.run / "summary.json"


def places_of(config: Config, contract: Contract | None = None) -> Places:
    """`contract`: a checkpoint's, where that one counts and not the config's."""
    contract = contract or contract_of(config)
    data = data_folder(config, contract)
    if config.mix is None:
        data_set = data_set_name(config.dataset)
        stats = data / data_set / META / _stats_name(config)
        return Places(contract, data, run_folder(config), stats, data_set_name=data_set)
    sources = {name: places_of(task_config, contract.of_task(name)) for name, task_config in configs_of(config).items()}
    per_source = config.mix.norm_stats == PER_SOURCE
    return Places(contract, data, run_folder(config), data / _stats_name(config), sources, per_source)


def stats_of_task(folder: Path, task: str) -> Path:
    """The statistics of one task of a mix; of `task` "" those of all that is normalised."""
    stem, _, suffix = STATS_FILE.partition(".")
    return folder / (f"{stem}-{task}.{suffix}" if task else STATS_FILE)


def data_set_name(dataset: DatasetConfig) -> str:
    """Of the folder in a data folder; of one that is given, its whole path."""
    return str(Path(dataset.path).expanduser().absolute()) if dataset.path else DATA_SET + dataset.name


def is_data_set_name(name: str) -> bool:
    return name == DATA_SET or name.startswith(f"{DATA_SET}-")


def run_folder(config: Config) -> Path:
    return Path(config.run.root) / config.run.experiment / config.run.name


def data_folder(config: Config, contract: Contract) -> Path:
    """Where demos and data set of this contract live, shared by every run that asks for the same ones."""
    demos = config.demos
    file_name = Path(demos.path or "").name.removesuffix(".h5").removesuffix(".hdf5") + _recorded_as(config)
    planned = f"n{demos.count}-s{demos.first_seed}{_started_as(demos)}{_planned_as(config)}"
    source = (file_name if demos.path else planned) + ("-labels" if demos.labels else "")
    name = f"{config.task.name}-{config.camera.name}-{source}-{contract.hash[:8]}"
    return Path(config.run.root) / DATA / (f"{name}-{demos.corrected}" if demos.corrected else name)


def _planned_as(config: Config) -> str:
    """Names how demos are planned, where that is not what the task's own file says."""
    tasks = [of_task.task for of_task in configs_of(config).values()]
    changed = [
        (task.name, task.solver, task.hold_steps) for task in tasks if _plan_of(task) != _usual_plan(task.name, task)
    ]
    return "-" + hashlib.sha256(repr(changed).encode()).hexdigest()[:6] if changed else ""


def _plan_of(task: TaskConfig) -> tuple[str, int]:
    return task.solver, task.hold_steps


def _usual_plan(name: str, task: TaskConfig) -> tuple[str, int]:
    """Of conf/task/NAME.yaml; of a task that somebody else brought, its own."""
    return _plans().get(name, _plan_of(task))


@functools.cache
def _plans() -> dict[str, tuple[str, int]]:
    plans = {}
    for file in resources.files("pirig.conf").joinpath("task").iterdir():
        if file.name.endswith(".yaml"):
            said = yaml.safe_load(file.read_text())
            said = said.get("task", said)
            plans[said["name"]] = said.get("solver", ""), said.get("hold_steps", 0)
    return plans


def _stats_name(config: Config) -> str:
    """Says on what else the statistics depend: chunk length and what is relative to the state."""
    counts = config.control.relative_to_state
    chunk_and_relation = f"-h{config.horizon.steps}-relative_{'_'.join(map(str, counts))}" if counts else ""
    stem, _, suffix = STATS_FILE.partition(".")
    return f"{stem}{chunk_and_relation}.{suffix}"


def _started_as(demos: DemosConfig) -> str:
    """Names where planned demos start and which of them are kept, where that is not the usual way."""
    spread = f"-spread{demos.start_spread_rad:g}" if demos.start_spread_rad else ""
    pushed = f"-pushed{demos.disturb:g}x{demos.disturb_rad:g}" if demos.disturb else ""
    held = f"-held{demos.disturb_held:g}x{demos.disturb_held_rad:g}" if demos.disturb_held else ""
    return spread + pushed + held + ("-usual" if demos.leave_out_wandering else "")


def _recorded_as(config: Config) -> str:
    """Names how a recorded data set is read, where that is not the usual way."""
    data, usual = config.data, DataConfig()
    old = {
        "state_columns": data.state,
        "action_columns": data.actions,
        "angle_unit": data.angle_unit,
        "gripper_max": data.gripper_max,
    }
    told: dict[str, Any] = {
        name: value for name, value in old.items() if value != getattr(usual, NAMES.get(name, name))
    }
    told |= {"leave_out": config.demos.leave_out} if config.demos.leave_out else {}
    younger = {"prompt": data.prompt, "fps": data.fps, "resample": data.resample}
    told |= {name: value for name, value in younger.items() if value != getattr(usual, name)}
    if config.robot.simulated and data.name:  # a simulated camera's sensor is not the column
        told |= {"pictures": data.columns}
    return "-" + hashlib.sha256(repr(told).encode()).hexdigest()[:6] if told else ""


NAMES = {"state_columns": "state", "action_columns": "actions"}  # older ones, which folders are named by
