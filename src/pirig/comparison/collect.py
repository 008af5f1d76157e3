"""Run folders, read: each with its config, training, evaluations, data set and contract. Nothing is written."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pirig.comparison.curves import Training, read_training
from pirig.comparison.statistics import wilson
from pirig.comparison.success import SuccessRow
from pirig.config.aliases import current
from pirig.config.keeping import DatasetConfig
from pirig.config.places import EVALUATIONS, LINEAGE, META, data_folder, data_set_name, is_data_set_name
from pirig.config.plain import as_plain, flat, require_sections
from pirig.config.schema import CameraConfig, Config, DemosConfig, RunConfig, TaskConfig
from pirig.config.state_entries import holds_goal
from pirig.contract import Contract, ContractError
from pirig.files.atomic import process_runs
from pirig.files.progress import Progress
from pirig.files.records import REMEDY, read_lines
from pirig.runs.lock import owner_of
from pirig.runs.stages import Cost, costs, entries

OF_THE_PLACE = ("name", "solver", "hold_steps")  # of a task's config
EVAL_ROWS = ("policy", "zero_shot", "untrained", "oracle")
SLOW = 50  # runs from which on reading shows its progress
QUIET_S = 15 * 60  # a training that wrote nothing for so long is said to be silent


@dataclass(frozen=True)
class Evaluation:
    """`marks`: what a reader of the result must know (gates that were skipped or not passed)."""

    folder: Path
    step: int | None
    settings: dict[str, Any]
    rows: dict[str, SuccessRow]
    marks: list[str]

    @property
    def finished(self) -> bool:
        return "policy" in self.rows and self.rows["policy"].of is None


@dataclass(frozen=True)
class Run:
    """`config`: flat, dotted keys; those that an older run lacks have the schema's default."""

    folder: Path
    config: dict[str, Any]
    contract: dict[str, Any]
    contract_hash: str
    environment: dict[str, Any]
    status: dict[str, Any]
    training: Training
    evaluations: list[Evaluation]
    data_set: dict[str, Any]
    marks: list[str]
    costs: list[Cost]  # of each stage that left a record: the data's, then the run's own
    lineage: dict[str, Any]  # of a child of `pirig improve`: parent, method, round, arm; of another run nothing
    written_s: float  # when metrics or status were last written, in seconds since 1970

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def minutes(self) -> float | None:
        """Of all its stages; None where none left a record."""
        return sum(cost.minutes for cost in self.costs) if self.costs else None

    @property
    def peak_gb(self) -> float | None:
        """The most memory that a stage held; of a GPU where it used one."""
        peaks = [cost.peak_gb if cost.gpu_peak_gb is None else cost.gpu_peak_gb for cost in self.costs]
        return max(peaks, default=None)

    @property
    def steps(self) -> int:
        return int(self.config.get("train.steps") or 0)

    @property
    def state(self) -> str:
        """ "train running", "eval done", ...; "train silent" where a running stage wrote nothing for a quarter of an hour."""
        state, stage = self.status.get("state", "not started"), self.status.get("stage", "")
        if state == "running" and self.silent_s() > QUIET_S:
            state = "silent"
        return f"{stage} {state}".strip()

    @property
    def finished(self) -> bool:
        return self.status.get("state") == "done" and self.training.step >= self.steps

    @property
    def descent(self) -> str:
        """As "sweep/one at step 4000, round 1 of corrections, control"; "" of a run that is no child of an improvement."""
        told = self.lineage
        if not told:
            return ""
        method, arm = told.get("method"), told.get("arm")
        return f"{told.get('parent')}, round {told.get('round')} of {method}" + (f", {arm}" if arm != method else "")

    def silent_s(self) -> float:
        return max(0.0, time.time() - self.written_s)


def collect(paths: Iterable[Path]) -> list[Run]:
    """The runs at or below each path, each once; a run that cannot be read is named on stderr and left out.

    Raises ValueError where a path holds no run or none can be read.
    """
    folders = [folder for path in paths for folder in _folders_below(path)]
    unique = list({folder.resolve(): folder for folder in folders}.values())
    if len(unique) < SLOW:
        results = [_readable(folder) for folder in unique]
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool, Progress("reading runs", len(unique)) as progress:
            results = list(_counted(pool.map(_readable, unique), progress))
    errors = [result for result in results if isinstance(result, ValueError)]
    if len(errors) == len(results):
        raise errors[0]
    for error in errors:
        print(f"warning: left out: {error}", file=sys.stderr)
    return [result for result in results if isinstance(result, Run)]


def _readable(folder: Path) -> Run | ValueError:
    try:
        return read_run(folder)
    except ValueError as error:
        return error


def _counted(runs: Iterator[Run | ValueError], progress: Progress) -> Iterator[Run | ValueError]:
    for run in runs:
        progress.advance()
        yield run


def _folders_below(path: Path) -> list[Path]:
    if not path.is_dir():
        raise ValueError(
            f"{path}: expected a run folder or a folder of runs, found {'a file' if path.exists() else 'nothing'}."
        )
    folders = sorted(run_folders(path.absolute()))
    if not folders:
        raise ValueError(
            f"{path}: no run there. A run is a folder with a config.yaml and a contract.json, such as "
            "outputs/<experiment>/<run>, made by `pirig train` or `pirig pipeline`."
        )
    return folders


def run_folders(top: Path) -> Iterator[Path]:
    """Runs at or below `top`; what `run.mode=overwrite` moved aside and hidden folders are passed over."""
    for folder, names, files in os.walk(top):
        if is_run(files):
            names.clear()
            yield Path(folder)
        names[:] = [
            name for name in names if not name.startswith(".") and ".old-" not in name and not is_data_set_name(name)
        ]


def is_run(files: Iterable[str]) -> bool:
    return {"config.yaml", "contract.json"} <= set(files)


def read_run(folder: Path) -> Run:
    """Raises ValueError naming the file that cannot be read."""
    plain = current(require_sections(_yaml(folder / "config.yaml"), folder / "config.yaml"))
    contract = _json(folder / "contract.json")
    gates = _json(folder / "gates.json")
    config = flat(plain)
    data_set, contract_hash = _data_set(folder, plain)
    return Run(
        folder=folder,
        config=config | {key: value for key, value in _defaults().items() if key not in config},
        contract=contract,
        contract_hash=contract_hash,
        environment=_json(folder / "environment.json"),
        status=_status(folder),
        training=_training(folder),
        evaluations=_evaluations(folder, plain),
        data_set=data_set,
        marks=_marks(gates) + ([] if _goal_is_seen(config) else ["the goal is not observable"]),
        costs=costs(entries(Path(data_set.get("folder", folder / "-"))) + entries(folder)),
        lineage=_json(folder / LINEAGE),
        written_s=max(_written_s(folder / name) for name in ("metrics.jsonl", "status.json", "config.yaml")),
    )


def _training(folder: Path) -> Training:
    try:
        return read_training(folder)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder / 'metrics.jsonl'}: cannot be read ({error}); {REMEDY}.") from error


def _status(folder: Path) -> dict[str, Any]:
    """status.json; of a stage whose process was killed it says interrupted."""
    status = _json(folder / "status.json")
    here = status.get("state") == "running" and status.get("host") == socket.gethostname()
    if here and not process_runs(status["pid"]) and owner_of(folder) is None:
        return {**status, "state": "interrupted"}
    return status


def _goal_is_seen(config: dict[str, Any]) -> bool:
    """By the config's flat keys, as `config.checks.goal_is_seen` by the typed ones; whatever the run believed."""
    shown = config.get("task.goal_visible") or config.get("camera.show_goal")
    return bool(shown) or holds_goal(config.get("state.entries") or ())


@lru_cache(maxsize=1)
def _defaults() -> dict[str, Any]:
    return {key: value for key, value in flat(as_plain(Config())).items() if value != "???"}


def _evaluations(folder: Path, plain: dict[str, Any]) -> list[Evaluation]:
    """Oldest checkpoint first."""
    names = os.listdir(folder / EVALUATIONS) if (folder / EVALUATIONS).is_dir() else []
    evaluations = [_evaluation(folder / EVALUATIONS / name, plain) for name in sorted(names) if ".old-" not in name]
    return sorted(
        (evaluation for evaluation in evaluations if evaluation),
        key=lambda evaluation: (evaluation.step or 0, evaluation.folder.name),
    )


def _success_of(file: Path, name: str, said: Any) -> SuccessRow:
    """Raises ValueError with the file where a row of it is none."""
    try:
        return SuccessRow.from_plain(said)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: {name}: {error}.") from error


def _evaluation(folder: Path, plain: dict[str, Any]) -> Evaluation | None:
    settings = _json(folder / "settings.json")
    if not settings:
        return None
    rates = _json(folder / "rates.json")
    wanted = {
        "policy": "episodes",
        "zero_shot": "untrained_episodes",
        "untrained": "untrained_episodes",
        "oracle": "oracle_episodes",
    }
    rows = {}
    for name in EVAL_ROWS:
        if "policy" in rates and name not in rates:
            continue  # a finished evaluation without this baseline
        if name in rates:
            count: SuccessRow | None = _success_of(folder / "rates.json", name, rates[name])
        else:
            count = _partial(folder / name, plain.get("eval", {}).get(wanted[name]))
        if count:
            rows[name] = count
    gates = _json(folder / "gates.json") or {"skipped": rates.get("policy", {}).get("gates_skipped", [])}
    step = Path(str(settings.get("checkpoint", ""))).name
    return Evaluation(folder, int(step) if step.isdigit() else None, settings, rows, _marks(gates))


def _partial(folder: Path, wanted: int | None) -> SuccessRow | None:
    """The episodes of an evaluation that has not ended, counted so far."""
    path = folder / "episodes.jsonl"
    done = list(read_lines(path, "seed", "success", "success_at_end", "steps"))
    if not done:
        return None
    k, n = sum(episode["success"] for episode in done), len(done)
    low, high = wilson(k, n)
    seeds = min(episode["seed"] for episode in done)
    at_end = sum(episode["success_at_end"] for episode in done)
    names = dict.fromkeys(name for episode in done for name in episode.get("flags", {}))
    reached = {name: sum(episode["flags"].get(name, False) for episode in done) for name in names}
    mean_steps = sum(episode["steps"] for episode in done) / n
    return SuccessRow(k, n, low, high, at_end, reached, mean_steps=mean_steps, first_seed=seeds, of=max(n, wanted or 0))


def _marks(gates: dict[str, Any]) -> list[str]:
    skipped = [f"gate skipped: {name}" for name in gates.get("skipped", [])]
    return skipped + [f"gate not passed: {name}" for name, sentences in gates.get("found", {}).items() if sentences]


def _data_set(folder: Path, plain: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What is known of the run's data set, and the contract's hash ("" where it is of another version)."""
    try:
        contract = Contract.load(folder)
    except ContractError as error:
        return {"missing": str(error)}, ""
    roots = [str(folder.parent.parent), str(plain.get("run", {}).get("root", ""))]
    places = [data_folder(_located(plain, root), contract) for root in roots]
    there = next((place for place in places if place.is_dir()), None)
    name = data_set_name(DatasetConfig(**plain.get("dataset", {})))
    return (_described(there, name) if there else {"missing": f"{places[0]} is not there"}), contract.hash


def _located(plain: dict[str, Any], root: str) -> Config:
    """As much of the typed config as the place of a data set depends on (all of it takes 20 times longer)."""
    demos = {key: value for key, value in plain.get("demos", {}).items() if key in DemosConfig.__dataclass_fields__}
    return Config(
        run=RunConfig(root=root),
        demos=DemosConfig(**demos),
        task=TaskConfig(**{key: value for key, value in plain.get("task", {}).items() if key in OF_THE_PLACE}),
        camera=CameraConfig(name=plain.get("camera", {}).get("name", "")),
    )


@lru_cache(maxsize=512)
def _described(folder: Path, name: str) -> dict[str, Any]:
    info = _json(folder / name / "meta" / "info.json")
    provenance = _json(folder / name / META / "provenance.json")
    facts: dict[str, Any] = {"folder": str(folder)}
    if not info:
        return {**facts, "missing": f"{folder / name} is not there yet"}
    facts |= {"episodes": info["total_episodes"], "frames": info["total_frames"], "fps": info["fps"]}
    if provenance.get("lengths"):
        lengths = provenance["lengths"]
        facts["episode_steps"] = f"{min(lengths)} to {max(lengths)}"
    if provenance.get("seeds"):
        facts["demo_seeds"] = f"{min(provenance['seeds'])} to {max(provenance['seeds'])}"
    if provenance.get("corrections"):
        facts["corrections"] = len(provenance["corrections"])
    for key in ("left_out", "content_sha256", "source"):
        if key in provenance:
            facts[key] = provenance[key]
    return facts


def _json(path: Path) -> dict[str, Any]:
    return _read(path, json.loads)


def _yaml(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return _read(path, lambda text: yaml.load(text, loader))


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """{} where there is no such file."""
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    try:
        parsed = parse(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read ({str(error).splitlines()[0]}); {REMEDY}.") from error
    if parse is json.loads and not isinstance(parsed, dict):  # what a config holds is asked by its reader
        raise ValueError(f"{path}: cannot be read (a {type(parsed).__name__}, expected a map); {REMEDY}.")
    return parsed


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
