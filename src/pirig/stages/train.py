"""`pirig train`: a policy from a data set, into the run folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pirig.config.mixes import shares_of
from pirig.config.places import Places, places_of
from pirig.config.schema import Config, Mode
from pirig.files.identity import FILE_NAME
from pirig.runs.progress import newest_checkpoint
from pirig.runs.record import set_status
from pirig.runs.stages import measured
from pirig.stages import stats, warm_up
from pirig.stages.entry import entered, set_memory

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from pirig.datasets.lerobot.read import Dataset
    from pirig.files.identity import Identity
    from pirig.scenes.labelled import LabelledScenes
    from pirig.training.loop import TrainResult
    from pirig.training.losses import Weighted
    from pirig.training.memory import Remedies
    from pirig.training.optimizer import Tree
    from pirig.training.scene_rows import SceneRows
    from pirig.training.sharding import Placement
    from pirig.training.warmed import WarmedUp
    from pirig.transforms.pipeline import Pipeline


def run(config: Config) -> int:
    places = places_of(config)
    set_memory(config)
    from pirig.training import processes

    processes.join()
    check_parts(config)
    with ExitStack() as stack:
        with processes.first_then_others("run folder"):
            stack.enter_context(entered(config, places, first=_is_first()))
        result = make(config, places)
    if _is_first():
        print(f"trained {result.steps} steps in {result.seconds:.0f} s, loss {result.loss:.4f}: {places.run}")
    return 130 if result.stopped else 0


def make(config: Config, places: Places) -> TrainResult:
    """Trains into the opened run folder, going on from its newest checkpoint if it has one."""
    return fit(config, places, prepare(config, places))


def fit(config: Config, places: Places, ready: Ready) -> TrainResult:
    """What `make` does once everything was asked."""
    if _is_first():
        set_status(places.run, "train", "running")
    record: AbstractContextManager[dict[str, Any]] = measured(places.run, "train") if _is_first() else nullcontext({})
    with record as told:
        result = _by_openpi(config, places, ready) if config.trainer == "openpi" else _by_us(config, places, ready)
        told |= {"steps": result.steps, "training_minutes": round(result.seconds / 60, 3)}
    if _is_first():
        state = "stopped" if result.stopped else "done"
        set_status(places.run, "train", state, steps=result.steps, loss=result.loss, by=result.stopped)
    return result


@dataclass(frozen=True)
class Ready:
    """What training takes, after every gate. `held_out`: episodes that only validation sees."""

    pipeline: Pipeline
    dataset: Dataset
    frames: dict[str, np.ndarray]
    held_out: list[int]
    trainable: Tree | None
    placement: Placement | None
    auxiliary: dict[str, Weighted]
    remedies: Remedies


def prepare(config: Config, places: Places) -> Ready:
    """Opens the data set and asks everything that could refuse the training; nothing here takes long. Raises ValueError."""
    from pirig.datasets.make import open_data_set, open_frames
    from pirig.datasets.make_stats import own_norm_stats
    from pirig.gates.data import require_good_data
    from pirig.policies import build
    from pirig.training import processes, start
    from pirig.training.losses import auxiliary_losses
    from pirig.training.validation import held_out_of

    _warn(config)
    check_parts(config)
    if config.trainer == "openpi":
        _openpi().find()
    processes.join()
    with processes.first_then_others("data"):
        stats.make(config, places)
        dataset = open_data_set(config, places)
        start.require_long_enough(config, dataset)
        auxiliary = auxiliary_losses(config.losses, dataset.labels)
        held_out = held_out_of(dataset, config.train)
        own_stats = own_norm_stats(config, places, dataset, held_out, write=_is_first())
        pipeline = build.pipeline_of(config, dataset.contract, own_stats)
        model = pipeline.model_config
        frozen = {"freeze_vision": config.finetune.freeze_vision, "freeze_vlm": config.finetune.freeze_vlm}
        trainable = start.trainable_of(model, **frozen)
        placement = start.placement_of(config)
        remedies = start.require_memory(
            config, model, trainable, cameras=len(dataset.contract.cameras), tokens=pipeline.prompt_length()
        )
        if _is_first():
            require_good_data(config, dataset, pipeline, held_out, places.run)
        frames = open_frames(dataset, config.size.image_px, places)
    return Ready(pipeline, dataset, frames, held_out, trainable, placement, auxiliary, remedies)


def _by_openpi(config: Config, places: Places, ready: Ready) -> TrainResult:
    made = _made(config, places, ready)
    return _openpi().train(places.run, config, ready.pipeline, ready.dataset, ready.frames, ready.held_out, made)


def _by_us(config: Config, places: Places, ready: Ready) -> TrainResult:
    from pirig.training import start
    from pirig.training.loop import train

    params = start.start_params(config, ready.pipeline.model_config, ready.trainable, places.run, ready.placement)
    warmed = _warmed_up(config, places) if params is None else None
    sets = _scenes(config, places)
    return train(
        places.run,
        config.train,
        ready.pipeline,
        ready.dataset,
        ready.frames,
        schedule=config.schedule,
        resume=config.run.mode == Mode.resume,
        params=params,
        trainable=ready.trainable,
        experiment=config.run.name,
        placement=ready.placement,
        held_out=ready.held_out,
        auxiliary=ready.auxiliary,
        shares=shares_of(config),
        warmed=warmed,
        heads_of=start.checkpoint_of(config.weights),
        scenes=_rows_of(config, sets, ready.auxiliary),
        made=_made(config, places, ready, warmed.folder if warmed else None, sets),
        remedies=ready.remedies,
    )


def _scenes(config: Config, places: Places) -> list[LabelledScenes]:
    """Those that are beside the batches; [] where none are asked for, or a recorded arm has none, which is said."""
    from pirig.stages import scenes
    from pirig.training import processes

    if not config.train.scenes_per_batch or scenes.are_skipped(config, "scenes beside the batches"):
        return []
    with processes.first_then_others("scenes"):
        return list(scenes.make(config, places).values())


def _rows_of(config: Config, sets: list[LabelledScenes], auxiliary: dict[str, Weighted]) -> SceneRows | None:
    """What the warm-up measured itself on stays held out."""
    from pirig.training.scene_rows import SceneRows

    if not sets:
        return None
    labels = sorted({label for entry in auxiliary.values() for label in entry.loss.labels})
    warm_up = config.tower.warm_up
    return SceneRows(sets, labels, held_out=warm_up.held_out, seed=warm_up.seed)


def _made(
    config: Config, places: Places, ready: Ready, warmed: Path | None = None, scenes: Sequence[LabelledScenes] = ()
) -> Identity:
    """What this training is made from, kept in the run and its checkpoints. Raises IdentityError where a run that is resumed
    was made from something else."""
    from pirig.training import identity

    stats = identity.flat_stats(ready.pipeline.stats_of or {"": ready.pipeline.stats})
    made = identity.asked_of(config, places, ready.dataset, stats, warmed, scenes)
    checkpoint = newest_checkpoint(places.run)
    if checkpoint is not None:
        made = identity.require_same(made, checkpoint)
    if _is_first():
        made.save(places.run / FILE_NAME)
    return made


def _warmed_up(config: Config, places: Places) -> WarmedUp | None:
    """Of several processes the first makes it, the others find it."""
    from pirig.training import processes

    with processes.first_then_others("warm-up"):
        return warm_up.make(config, places)


def _openpi() -> Any:
    from pirig.training import openpi_trainer

    return openpi_trainer


def _is_first() -> bool:
    from pirig.training import processes

    return processes.is_first()


def _warn(config: Config) -> None:
    if config.model.pi05 and not config.model.state_in_prompt:
        print(
            "warning: model.state_in_prompt=false: pi0.5 reads its joints from the prompt only, so this policy cannot feel "
            "them",
            file=sys.stderr,
        )


def check_parts(config: Config) -> None:
    """Of what is chosen by name: is it there, and does it know its settings? Raises ValueError where not."""
    from pirig.policies.build import model_of
    from pirig.training.losses import require_kind
    from pirig.training.tracking import require_wandb
    from pirig.transforms.images import resize_named

    model_of(config, 0)  # the size, the tower and its settings
    resize_named(config.size.resize)
    for name, loss in config.losses.items():
        require_kind(name, loss)
    check_schedule(config)
    if os.environ.get("SLURM_PROCID", "0") == "0":  # one of several processes logs; JAX is not asked yet which one
        require_wandb(config.train.wandb)


def check_schedule(config: Config) -> None:
    """Says what of the schedule its curve does not ask for. Raises ValueError where the curve cannot be drawn."""
    from pirig.training.schedules import make_schedule, without_part

    make_schedule(config.schedule, config.train.steps)
    idle = without_part(config.schedule)
    if idle:
        print(f"schedule={config.schedule.name}: {', '.join(idle)} has no part in it", file=sys.stderr)
