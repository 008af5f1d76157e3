"""`pirig train`: a policy from a data set, into the run folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirig.config.places import Places, places_of
from pirig.config.schema import Config, Mode
from pirig.contract import require_equal
from pirig.runs.lock import held
from pirig.runs.progress import newest_checkpoint
from pirig.runs.record import open_run, set_status
from pirig.stages import stats
from pirig.sweeps import gpus
from pirig.training import heap

if TYPE_CHECKING:
    import numpy as np

    from pirig.datasets.lerobot_read import Dataset
    from pirig.training.loop import TrainResult
    from pirig.transforms.pipeline import Pipeline
    from pirig.transforms.relative import Relative


def run(config: Config) -> int:
    places = places_of(config)
    _enter(config, places)
    with held(places.run) if _is_first() else nullcontext():
        result = make(config, places)
    if _is_first():
        print(f"trained {result.steps} steps in {result.seconds:.0f} s, loss {result.loss:.4f}: {places.run}")
    return 130 if result.stopped else 0


def make(config: Config, places: Places) -> TrainResult:
    """Trains into the opened run folder, going on from its newest checkpoint if it has one."""
    folder = places.run
    _set_memory(config)
    _warn(config)
    if config.trainer == "openpi":
        _openpi().find()
    from pirig.datasets.lerobot_read import Dataset
    from pirig.policies import build
    from pirig.training import processes, start
    from pirig.training.loop import train
    from pirig.training.validation import held_out_episodes

    processes.join()
    with processes.first_then_others("data"):
        stats.make(config, places)
        dataset = Dataset(stats.require_data_set(places))
        require_equal(places.contract, dataset.contract, our_name="this run", their_name=f"data set {dataset.folder}")
        require_long_enough(config, dataset)
        held_out = held_out_episodes(dataset.episode_count, config.train.validation_share, config.train.seed)
        own_stats = _stats_without(held_out, dataset, places, stats.relation_of(config))
        pipeline = build.pipeline_of(config, dataset.contract, own_stats)
        model = pipeline.model_config
        trainable = start.trainable_of(model, freeze_vision=config.finetune.freeze_vision)
        placement = start.placement_of(config)
        start.require_memory(
            config, model, trainable, cameras=len(dataset.contract.cameras), tokens=pipeline.prompt_length()
        )
        if _is_first():
            _pass_gates(config, dataset, pipeline, held_out, folder)
        frames = _frames(config, places, dataset)
    if _is_first():
        set_status(folder, "train", "running")
    if config.trainer == "openpi":
        result = _openpi().train(folder, config, pipeline, dataset, frames, held_out)
        state = "stopped" if result.stopped else "done"
        set_status(folder, "train", state, steps=result.steps, loss=result.loss, by=result.stopped)
        return result
    params = start.start_params(config, model, trainable, folder)
    result = train(
        folder,
        config.train,
        pipeline,
        dataset,
        frames,
        resume=config.run.mode == Mode.resume,
        params=params,
        trainable=trainable,
        experiment=config.run.name,
        placement=placement,
        held_out=held_out,
    )
    if _is_first():
        state = "stopped" if result.stopped else "done"
        set_status(folder, "train", state, steps=result.steps, loss=result.loss, by=result.stopped)
    return result


def _openpi() -> Any:
    from pirig.training import openpi_trainer

    return openpi_trainer


def _enter(config: Config, places: Places) -> None:
    """The run folder is opened by the first of several processes."""
    _set_memory(config)
    from pirig.training import processes

    processes.join()
    with processes.first_then_others("run folder"):
        if processes.is_first():
            open_run(config, places)


def _is_first() -> bool:
    from pirig.training import processes

    return processes.is_first()


def _set_memory(config: Config) -> None:
    """XLA reads its variables when the first array is made, and its threads take their heap when they start."""
    if not gpus.of_this_machine(
        os.environ
    ):  # beside a GPU the heap holds checkpoints on their way to disk, not buffers
        heap.keep_freed_memory()
    if config.train.memory_fraction:
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = str(config.train.memory_fraction)
    if not config.train.preallocate:
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"


def _warn(config: Config) -> None:
    if config.model.pi05 and not config.model.state_in_prompt:
        print(
            "warning: model.state_in_prompt=false: pi0.5 reads its joints from the prompt only, so this policy cannot feel "
            "them",
            file=sys.stderr,
        )


def _stats_without(held_out: Sequence[int], dataset: Dataset, places: Places, relation: Relative | None) -> Path:
    """The statistics of the episodes that train: the data set's own, or the run's where some are held out."""
    if not held_out:
        return places.norm_stats
    from pirig.datasets.norm_stats import compute
    from pirig.transforms.normalize import save_norm_stats

    if _is_first():
        save_norm_stats(places.own_norm_stats, compute(dataset, held_out, relation))
    return places.own_norm_stats


def _pass_gates(config: Config, dataset: Dataset, pipeline: Pipeline, held_out: Sequence[int], folder: Path) -> None:
    """Raises GateError where the data set would waste the training; the report is the run's gates.json.

    A run that goes on has passed them: they are not asked again.
    """
    from pirig.gates.data import check
    from pirig.gates.finding import load, require_good, save

    if newest_checkpoint(folder) and load(folder) is not None:
        return
    more = pipeline, held_out, pipeline.relative
    report = check(dataset, pipeline.stats, config.model.normalization, config.gates, *more)
    save(report, folder)
    require_good(report, "training")


def _frames(config: Config, places: Places, dataset: Dataset) -> dict[str, np.ndarray]:
    from pirig.datasets.frame_cache import frame_cache

    return frame_cache(dataset, config.size.image_px, places.frame_caches)


def require_long_enough(config: Config, dataset: Dataset) -> None:
    """Raises ValueError where the data set's own shortest episode is shorter than an action chunk."""
    shortest = min(dataset.lengths)
    if config.horizon.steps > shortest:
        raise ValueError(
            f"horizon={config.horizon.steps}: the shortest episode of {dataset.folder} has {shortest} steps; "
            f"choose a horizon of at most {shortest}."
        )
