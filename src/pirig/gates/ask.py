"""Every gate of what a path holds: a data set, a run, a checkpoint, or demos and files that are to become a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pirig.config.checks import goal_is_observable
from pirig.config.load import of_run
from pirig.config.places import ASSETS, CHECKPOINTS, META, STATS_FILE, Places, places_of
from pirig.config.schema import Config, EvalConfig, GatesConfig
from pirig.contract import Contract, differences, source_of
from pirig.datasets.in_place import open_folder
from pirig.datasets.inspect import look
from pirig.datasets.joined import Joined
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.make import open_data_set
from pirig.datasets.make_stats import relation_of
from pirig.datasets.norm_stats import compute
from pirig.evaluation.inference import looks, made_up_looks
from pirig.gates import lerobot_files, policy
from pirig.gates.acts import acts
from pirig.gates.data import check
from pirig.gates.finding import Report, run_gates
from pirig.policies.card import PolicyCard, has_card
from pirig.policies.policy import Policy, load_pipeline, load_policy
from pirig.runs.progress import has_data_set, newest_checkpoint
from pirig.transforms.normalize import load_norm_stats
from pirig.transforms.relative import Relative

Asked = Iterator[tuple[str, Report]]  # what was asked, what its gates say


def reports(path: Path, overrides: Sequence[str] = ()) -> Asked:
    """`overrides` change the config of a run, or of the run that a checkpoint lies in: gates.skip=[acts].

    Raises ValueError where there is nothing at `path`, or nothing that has gates.
    """
    if (path / "config.yaml").is_file():
        yield from _run(path, of_run(path, list(overrides)))
    elif has_card(path):
        yield _checkpoint_alone(path, overrides)
    else:
        content = look(path)
        unasked = {"contract": content.no_contract} if content.no_contract else {}
        yield f"content of {path}", Report({"complete": content.missing}, [], unasked)
        if (path / "meta" / "info.json").is_file() and not any(said.startswith("damaged") for said in content.missing):
            yield f"files of {path}", run_gates(lerobot_files.gates(LeRobotSource(path)), [])
            if not content.missing and (path / META).is_dir():
                yield data_set(path / META / STATS_FILE, "quantile", GatesConfig())


def _run(folder: Path, config: Config) -> Asked:
    unseen = goal_is_observable(config, allowed=False)
    yield f"config {folder / 'config.yaml'}", Report({"goal_is_observable": [unseen] if unseen else []}, [])
    places, checkpoint = places_of(config), newest_checkpoint(folder)
    if checkpoint is None:
        yield f"run {folder}: no checkpoint yet", Report({}, [])
    else:
        yield _checkpoint(checkpoint, config, places)
    for own in places.of_tasks:
        yield data_set(own.norm_stats, config.model.normalization, config.gates, relation_of(config))


def _checkpoint_alone(checkpoint: Path, overrides: Sequence[str]) -> tuple[str, Report]:
    run = checkpoint.absolute().parents[1]
    if checkpoint.absolute().parent.name == CHECKPOINTS and (run / "config.yaml").is_file():
        config = of_run(run, list(overrides))
        return _checkpoint(checkpoint, config, places_of(config))
    gates = policy.gates(load_pipeline(checkpoint), PolicyCard.load(checkpoint), None)
    gates["acts"] = lambda: _acts(_loaded(checkpoint, EvalConfig().flow_steps), None)
    return f"checkpoint {checkpoint}", run_gates(gates, [])


def _checkpoint(checkpoint: Path, config: Config, places: Places) -> tuple[str, Report]:
    """Of a run: do run, checkpoint and data set agree, is it served as it was trained, and does it act?"""
    dataset = _data_set_of(config, places) if has_data_set(places) else None
    pipeline = load_pipeline(checkpoint)
    gates: policy.Gates = {
        "agreement": lambda: disagreements(config, places, pipeline.relative_to_state, checkpoint, dataset)
    }
    gates |= policy.gates(pipeline, PolicyCard.load(checkpoint), config)
    report = run_gates(gates, config.gates.skip)
    if report.found.get("agreement"):
        why = "run, checkpoint and data set disagree, so an inference would say nothing"
        return f"checkpoint {checkpoint}", Report(report.found, report.skipped, {"acts": why})
    asked = run_gates({"acts": lambda: _acts(_loaded(checkpoint, config.eval.flow_steps), dataset)}, config.gates.skip)
    return f"checkpoint {checkpoint}", Report(report.found | asked.found, report.skipped + asked.skipped)


def _data_set_of(config: Config, places: Places) -> Dataset:
    """Of a mix, all tasks' as one; an odd data set is for `disagreements` to name."""
    return open_data_set(config, places) if places.sources else open_folder(places.data_set)


def _loaded(checkpoint: Path, flow_steps: int) -> Policy:
    return load_policy(checkpoint, flow_steps=flow_steps, batch_size=1)


def _acts(policy: Policy, dataset: Dataset | None) -> list[str]:
    """Of a mix, each task with its own data set."""
    if not isinstance(dataset, Joined) and len(policy.pipeline.contract.scenes) == 1:
        return _acts_alone(policy, dataset)
    parts = dataset.parts if isinstance(dataset, Joined) else {}
    tasks = [scene.task for scene in policy.pipeline.contract.scenes]
    return [
        f"{task}: {sentence}"
        for task in tasks
        for sentence in _acts_alone(policy.of_task(task), parts.get(source_of(task)))
    ]


def _acts_alone(policy: Policy, dataset: Dataset | None) -> list[str]:
    if dataset is not None:
        return acts(policy, looks(dataset), float(np.ptp(dataset.actions)))
    stats = policy.pipeline.stats["actions"]
    return acts(policy, made_up_looks(policy.pipeline), float(2 * np.max(stats.std)))


def disagreements(
    config: Config, places: Places, relative_to_state: Sequence[int], checkpoint: Path, dataset: Dataset | None
) -> list[str]:
    """What run, checkpoint and data set say otherwise than the checkpoint about the contract and the actions' relation."""
    trained = Contract.load(checkpoint / ASSETS)
    others = {"the run's config": places.contract}
    if dataset is not None:
        others[f"the data set {dataset.folder}"] = dataset.contract
    said = [
        f"checkpoint and {name} disagree: {text}"
        for name, other in others.items()
        for text in differences(trained, other)
    ]
    asked, known = list(config.control.relative_to_state), list(relative_to_state)
    if asked != known:
        said.append(f"checkpoint and the run's config disagree: control.relative_to_state: {known} != {asked}")
    return said


def data_set(
    stats: Path, normalization: str, settings: GatesConfig, relation: Relative | None = None
) -> tuple[str, Report]:
    """The data set that the file `stats` lies in. Raises ValueError where that is not there."""
    folder = stats.parents[2]
    if not stats.is_file() and "made_from" in (dataset := open_folder(folder)).provenance:
        return f"data set {folder}", check(dataset, compute(dataset), normalization, settings, relation=relation)
    if not stats.is_file():
        raise ValueError(
            f"{stats}: no norm stats there; run `pirig stats` with the settings that made this data set first."
        )
    report = check(open_folder(folder), load_norm_stats(stats), normalization, settings, relation=relation)
    return f"data set {folder}", report
