"""A checkpoint that was never trained here (`weights.path`), measured: where its results lie and what is beside them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pirig.config.places import Places
from pirig.config.schema import Config, Mode
from pirig.evaluation.measured import is_fine_tuned
from pirig.evaluation.seeds import step_limit
from pirig.evaluation.target import Target, result_settings, results_folder
from pirig.policies.given import Given, given_of
from pirig.runs.progress import has_data_set, newest_checkpoint

READY = ("pi05_libero",)  # of the weights that `pirig weights fetch` knows


def given_weights(config: Config, places: Places) -> Path | None:
    """The folder of `weights.path`, or of weights that are known to be trained for their tasks, where no run of this config has a
    checkpoint of its own and no server is asked in their place; else None."""
    if (
        not (config.weights.path or (config.weights.name in READY and not config.eval.server))
        or config.run.checkpoint
        or newest_checkpoint(places.run) is not None
    ):
        return None
    from pirig.weights.fetch import resolve

    return resolve(config.weights)


def require_own_start(config: Config, run: Path) -> None:
    """Raises ValueError where a run was trained from scratch and this config gives weights, or the other way round: the row of
    what it started from would be of something else. Weights that were moved since may be named by their new place."""
    import yaml

    file = run / "config.yaml"
    saved = (yaml.safe_load(file.read_text()) or {}).get("weights") if file.is_file() else None
    if not isinstance(saved, dict) or bool(saved.get("path") or saved.get("kind")) == is_fine_tuned(config):
        return
    if is_fine_tuned(config):
        raise ValueError(
            f"weights.path={config.weights.path}: {run} was trained from scratch, so it did not start from these; leave the key "
            f"out, or measure them alone with run.name=another weights.path={config.weights.path}."
        )
    began = saved.get("path") or saved.get("name")
    raise ValueError(
        f"weights=scratch: {run} was trained from {began}; leave the key out, or give weights.path=FOLDER."
    )


def open_given(config: Config, places: Places, source: Path) -> Given:
    """Raises ValueError for a mix: a checkpoint is measured on one task at a time."""
    if places.sources:
        raise ValueError("weights.path with a mix: give one task, as in task=push_cube, for each evaluation.")
    return given_of(config, places.contract, source)


def as_run(config: Config, places: Places, given: Given) -> tuple[Config, Places]:
    """A run folder of its own beside that of the config, which is free for a training: <name>-of-<checkpoint>."""
    name = f"{config.run.name}-of-{given.folder.name}"
    run = dataclasses.replace(config.run, name=name, mode=Mode.resume)
    return dataclasses.replace(config, run=run), dataclasses.replace(places, run=places.run.with_name(name))


def target_of_given(config: Config, places: Places, given: Given) -> Target:
    """Raises ValueError where neither demos nor `eval.max_steps` say how long an episode may take."""
    limit = limit_alone(config, places)
    settings = result_settings(config, given.folder, limit) | {"given": given.identity}
    folder = results_folder(places.evaluations, Path("-given"), settings)
    return Target(folder, settings, limit)


def limit_alone(config: Config, places: Places) -> int:
    """Steps of an episode where no checkpoint's card says what its demos took. Raises ValueError where nothing says it."""
    lengths = demos_of(places)[1]
    if not lengths and not config.eval.max_steps:
        raise ValueError(
            f"{places.data_set}: no data set of this task there, so nothing says how long an episode may take; give "
            "eval.max_steps=200, or make the demos first (pirig demos, pirig convert)."
        )
    return step_limit(config.eval.max_steps, config.eval.step_margin, lengths) if lengths else config.eval.max_steps


def demos_of(places: Places) -> tuple[list[int], list[int]]:
    """(scenes, lengths) of the data set's episodes; none where there is no data set."""
    if not has_data_set(places):
        return [], []
    from pirig.datasets.in_place import open_folder

    dataset = open_folder(places.data_set)
    seeds = [int(seed) for seed in dataset.seeds] if dataset.scenes_known else []
    return seeds, [int(length) for length in dataset.lengths]


def note(folder: Path, given: Given) -> None:
    """What was measured, in words, beside the results."""
    (folder / "given.json").write_text(json.dumps({"said": given.lines(), **given.identity}, indent=2) + "\n")
