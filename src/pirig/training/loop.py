"""The training loop: batches in, checkpoints, metrics and a loss curve out; it stops cleanly and resumes exactly."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pirig.config.schema import ScheduleConfig, TrainConfig
from pirig.datasets.joined import sources_of, tasks_of
from pirig.files.identity import Identity
from pirig.models.flow import FlowModel
from pirig.models.kinds import flow_model
from pirig.policies.assets import asset_writer, card_of
from pirig.policies.card import PolicyCard, require_alike
from pirig.runs.progress import newest_checkpoint
from pirig.training import checkpoints, processes
from pirig.training.augment import augment
from pirig.training.batches import Batches, BatchSettings, Prefetch, ScenesBeside, prepare
from pirig.training.curve import draw_curve
from pirig.training.domains import require_domains
from pirig.training.losses import Losses, Weighted
from pirig.training.memory import GB, Remedies, compiled_bytes, require_fits, room_of
from pirig.training.meter import Meter
from pirig.training.metrics import MetricsFile, Screen, sample_sheet, save_sheets
from pirig.training.optimizer import Tree
from pirig.training.schedules import make_schedule
from pirig.training.sharding import Placement
from pirig.training.step import (
    Batch,
    TrainState,
    first_bad_leaf,
    heads_to_measure,
    init_state,
    inputs_of,
    make_loss,
    make_train_step,
    weights_to_serve,
)
from pirig.training.stopping import StopWish
from pirig.training.tracking import Tracker
from pirig.training.validation import Validation, frames_of
from pirig.training.warm_up import heads_started_from, started_from
from pirig.training.warmed import WarmedUp

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset
    from pirig.training.scene_rows import SceneRows
    from pirig.transforms.pipeline import Pipeline

LOSS_WINDOW = 100  # the loss reported is the mean of the last so many steps
CURVE_FILE = "loss.png"


class TrainingDiverged(ValueError):
    """A loss or gradient was not finite; the message names the first bad leaf and the dump of the batch."""


@dataclass(frozen=True)
class TrainResult:
    """`steps` made in all, `seconds` of training in all (resumed parts included), `loss`: mean of the last steps.

    `stopped` names the signal that ended the training early, "" if it came to its end.
    """

    steps: int
    seconds: float
    loss: float
    checkpoint: Path
    stopped: str = ""


def initial_params(settings: TrainConfig, model_config: Any, model: FlowModel | None = None) -> Tree:
    """The untrained parameters that a run with this seed starts from."""
    model = model or flow_model()
    params = model.init_params(initial_key(settings), model_config)
    if settings.corrective_noise_m and model.look_at_state is not None:
        params = model.look_at_state(params, model_config)
    return params


def initial_key(settings: TrainConfig) -> jax.Array:
    """What fresh parameters are drawn from."""
    return _keys(settings)[1]


def _keys(settings: TrainConfig) -> tuple[jax.Array, jax.Array]:
    """(training key, initialisation key), as openpi splits its seed."""
    train_key, init_key = jax.random.split(jax.random.key(settings.seed))
    return train_key, init_key


def train(
    run_folder: Path,
    settings: TrainConfig,
    pipeline: Pipeline,
    dataset: Dataset,
    frames: Mapping[str, np.ndarray],
    *,
    schedule: ScheduleConfig,
    resume: bool,
    params: Tree | None = None,
    trainable: Tree | None = None,
    should_stop: Callable[[], bool] | None = None,
    model: FlowModel | None = None,
    experiment: str = "",
    placement: Placement | None = None,
    held_out: Sequence[int] = (),
    auxiliary: Mapping[str, Weighted] | None = None,
    shares: Mapping[str, float] | None = None,
    warmed: WarmedUp | None = None,
    heads_of: Path | None = None,
    scenes: SceneRows | None = None,
    made: Identity | None = None,
    remedies: Remedies | None = None,
) -> TrainResult:
    """Train into `run_folder` up to `settings.steps`; with `resume`, from its newest checkpoint if it has one.

    `params`: weights to start from (None: fresh from the seed). `trainable`: tree of bool, False leaves are frozen.
    `should_stop` is asked after every step. `experiment` titles the curve; `model` None is pi0 or pi0.5.
    `placement`: several devices (None: one). `held_out`: episodes that only validation sees. `auxiliary`: losses beside the
    flow loss, by name. `shares`: of a mix, by task, what part of the samples it is. `warmed`: fresh parameters and heads
    start with this tower's. `heads_of`: a checkpoint of ours with whose heads those of the same losses start. `scenes`: of which
    `settings.scenes_per_batch` are beside each batch. `made`: what the run is made from, kept in each checkpoint.
    `remedies`: named where the compiled step needs more than there is.
    Raises TrainingDiverged; ValueError if a checkpoint is there and `resume` is not set, or if it belongs to other settings.
    """
    _check(run_folder, settings, resume, placement)
    beside = ScenesBeside(scenes, settings.scenes_per_batch) if scenes is not None else None
    losses = Losses(model or flow_model(), auxiliary or {}, on_scenes=beside is not None)
    make_schedule(schedule, settings.steps)  # asked now: the data comes next
    held_out_frames = frames_of(held_out, dataset.lengths)
    rows = placement.own_rows(settings.batch_size) if placement else None
    batches = prepare(
        pipeline,
        dataset,
        frames,
        BatchSettings.of(settings),
        held_out=held_out_frames,
        rows=rows,
        labels=losses.labels,
        shares=shares,
        corrections_share=settings.corrections_share,
        scenes=beside,
    )
    if params is None:
        params = initial_params(settings, pipeline.model_config, model)
        params = params if warmed is None else started_from(params, pipeline.model_config, warmed)
    heads = _fresh_heads(losses, settings, pipeline, batches, params)
    heads = heads if warmed is None else heads_started_from(heads, losses.auxiliary, warmed)
    heads = heads if heads_of is None else checkpoints.with_heads_of(heads_of, heads)
    state = init_state(params, settings, _keys(settings)[0], trainable, placement, heads)
    del params  # or the device would hold the weights twice
    position, seconds = 0, 0.0
    newest = newest_checkpoint(run_folder) if resume else None
    if newest:
        like = checkpoints.shapes_of(state)
        del state  # or two states would be there while the saved one is read
        state, progress = checkpoints.restore(newest, like, trainable)
        ours = card_of(pipeline, dataset, held_out)
        require_alike(ours, PolicyCard.load(newest), our_name="this run", their_name=str(newest))
        position, seconds = _resume_point(newest, progress, batches)
        _say(f"resumed from {newest} at step {int(state.step)}")
    title = experiment or run_folder.name
    run = _Run(run_folder, settings, schedule, pipeline, dataset, batches, trainable, losses, title, placement)
    run.made = made
    run.remedies = remedies or run.remedies
    if held_out:
        seen = (pipeline, dataset.actions, dataset.state, held_out_frames, settings, losses, placement)
        run.validation, run.held_out = (
            Validation(batches, *seen, tasks=tasks_of(dataset), sources=sources_of(dataset)),
            list(held_out),
        )
    return run.train(state, position, seconds, should_stop or (lambda: False))


def _fresh_heads(losses: Losses, settings: TrainConfig, pipeline: Pipeline, batches: Batches, params: Tree) -> Tree:
    sample = batches.gather(batches.used[:1])
    labels = {name: values[batches.used] for name, values in batches.labels.items()}
    key = jax.random.fold_in(initial_key(settings), 1)
    return losses.init_heads(key, params, pipeline.model_config, inputs_of(sample, sample["images"]), labels)


def _say(text: str) -> None:
    if processes.is_first():
        print(text, file=sys.stderr, flush=True)


def _check(run_folder: Path, settings: TrainConfig, resume: bool, placement: Placement | None) -> None:
    require_domains(settings, placement.device_count if placement else 1)
    newest = newest_checkpoint(run_folder)
    if newest and not resume:
        raise ValueError(f"{newest} exists already; go on with run.mode=resume or choose another run.name")


def _resume_point(folder: Path, progress: dict[str, Any], batches: Batches) -> tuple[int, float]:
    now = {"seed": batches.seed, "frames": len(batches.used)}
    for name, value in now.items():
        if progress[name] != value:
            raise ValueError(
                f"{folder} was trained with {name} {progress[name]}, this run has {value}: the order of the data would "
                "change in the middle; give the old settings or start another run"
            )
    return progress["position"], progress["seconds"]


def _again(run_folder: Path) -> str:
    """How a run is begun again with other settings: where it has a checkpoint, that one belongs to the settings it had."""
    if newest_checkpoint(run_folder) is None:
        return "and give run.mode=resume, which begins again"
    return "and give run.mode=overwrite, which moves this run aside, or run.name=... for another one"


@dataclass
class _Run:
    """The fixed things of one run, and its steps."""

    folder: Path
    settings: TrainConfig
    schedule: ScheduleConfig
    pipeline: Pipeline
    dataset: Dataset
    batches: Batches
    trainable: Tree | None
    losses: Losses
    title: str
    placement: Placement | None = None
    validation: Validation | None = None
    held_out: list[int] = dataclasses.field(default_factory=list)
    made: Identity | None = None
    remedies: Remedies = dataclasses.field(default_factory=lambda: Remedies(0, {}))

    def train(self, state: TrainState, position: int, seconds: float, should_stop: Callable[[], bool]) -> TrainResult:
        first, writes = int(state.step), processes.is_first()
        write_assets = asset_writer(self.pipeline, card_of(self.pipeline, self.dataset, self.held_out), self.made)
        keep: dict[str, Any] = {"trainable": self.trainable, "keep_every": self.settings.keep_every}
        self.saver = checkpoints.Saver(self.folder, write_assets, **keep)
        self.saver.require_space(state, self.settings.steps)
        draws = self.settings.flow_samples
        self.meter = Meter(self.pipeline.model_config, self.batches, draws, self.trainable)
        self.metrics = MetricsFile(self.folder, first, writes)
        shares = ("mfu",) if self.meter.knows_peak else ()
        self.screen = (
            Screen(self.settings.steps, self.settings.log_every, shares, self.losses.names) if writes else None
        )
        rates = dataclasses.asdict(self.schedule)
        config = {
            **dataclasses.asdict(self.settings),
            "schedule": rates,
            "model": dataclasses.asdict(self.pipeline.model_config),
        }
        self.wandb = Tracker(self.settings.wandb if writes else "disabled", self.settings.project, self.folder, config)
        self.started_s = time.monotonic() - seconds
        try:
            if first == 0 and writes:
                self._show_samples(position)
            with StopWish() as wish, self.saver:
                state, position = self._steps(
                    state, position, lambda: processes.any_says(bool(wish.name) or should_stop())
                )
                saved = self._save(state, position)
        finally:
            self.metrics.close()
            self.wandb.close()
        losses = [row["loss"] for row in self.metrics.rows[-LOSS_WINDOW:]]
        stopped = (wish.name or "should_stop") if int(state.step) < self.settings.steps else ""
        if stopped:
            _say(f"stopped by {stopped} at step {int(state.step)}; go on with run.mode=resume")
        loss = float(np.mean(losses)) if losses else float("nan")
        return TrainResult(int(state.step), self._elapsed_s(), loss, saved, stopped)

    def _steps(self, state: TrainState, position: int, stop: Callable[[], bool]) -> tuple[TrainState, int]:
        settings, train_step = self.settings, None
        done = int(state.step)
        with Prefetch(self.batches, position) as stream:
            while done < settings.steps:
                asked_s = time.monotonic()
                rows = next(stream)
                batch = self.placement.put_batch(rows) if self.placement else rows
                loaded_s = time.monotonic()
                train_step = train_step or self._compiled(state, batch)
                state, result = train_step(state, batch)
                values = {name: float(value) for name, value in jax.device_get(result).items()}
                if not values["finite"]:
                    self._diverged(state, batch, rows)
                done += 1
                position += settings.batch_size
                self._record(done, values, loaded_s - asked_s, time.monotonic() - asked_s, self._validate(done, state))
                stopping = stop()
                if stopping:
                    break
                if done % settings.save_every == 0 and done < settings.steps:
                    self._save(state, position)
        return state, position

    def _compiled(self, state: TrainState, batch: Batch) -> Callable[[TrainState, Batch], tuple[TrainState, Any]]:
        """The step as a program for these shapes. Raises ValueError where the device has too little memory for it."""
        _say(f"training {self.settings.steps - int(state.step)} steps; the first one compiles")
        shardings = (self.placement.tree(state), self.placement.copied) if self.placement else None
        options: dict[str, Any] = {"trainable": self.trainable, "losses": self.losses, "shardings": shardings}
        schedule = make_schedule(self.schedule, self.settings.steps)
        step = make_train_step(self.pipeline.model_config, self.settings, schedule, **options)
        compiled = step.compiled(state, batch)
        needed = compiled_bytes(compiled.program)
        if needed is not None:
            _say(f"the compiled step needs {needed / GB:.2f} GB per device")
            require_fits(needed + self.remedies.saving, room_of(self.settings), self.remedies, "by the compiled step")
        return compiled

    def _validate(self, done: int, state: TrainState) -> dict[str, float]:
        """The held-out numbers at every train.validate_every-th step and at the last; else {}."""
        if self.validation is None or (done % self.settings.validate_every and done < self.settings.steps):
            return {}
        held_out = self.validation.measure(weights_to_serve(state, self.trainable), heads_to_measure(state))
        error = f", actions off by {held_out['action_error']:.4f}" if "action_error" in held_out else ""
        parts = (
            name for name in held_out if name.startswith(("validation_", "action_error/")) and name != "validation_loss"
        )
        named = ((name.removeprefix("validation_").replace("_", " "), held_out[name]) for name in parts)
        others = "".join(f", {name} {value:.4g}" for name, value in named)
        _say(f"step {done}: held-out loss {held_out['validation_loss']:.4f}{error}{others}")
        return held_out

    def _record(self, done: int, values: dict[str, float], loader_s: float, step_s: float, validated: dict) -> None:
        row = {
            "step": done,
            **{name: values[name] for name in ("loss", *self.losses.names, "grad_norm", "param_norm", "lr")},
            "samples_per_s": round(self.settings.batch_size / step_s, 3),
            "step_s": round(step_s, 6),
            "loader_s": round(loader_s, 6),
            "loader_share": round(loader_s / step_s, 5),
            "elapsed_s": round(self._elapsed_s(), 3),
            **self.meter.row(self.settings.batch_size / step_s),
            **validated,
        }
        self.metrics.add(row)
        self.wandb.log(row)
        if self.screen:
            self.screen.add(row)
        if done % max(1, self.settings.log_every) == 0:
            self.metrics.flush()

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started_s

    def _save(self, state: TrainState, position: int) -> Path:
        self.metrics.flush()
        progress = {
            "position": position,
            "seconds": self._elapsed_s(),
            "seed": self.batches.seed,
            "frames": len(self.batches.used),
            "batch_size": self.settings.batch_size,
        }
        saved = self.saver.save(state, progress)
        if self.metrics.rows and processes.is_first():
            draw_curve(self.metrics.rows, self.folder / CURVE_FILE, self.title, self.losses.names)
        return saved

    def _show_samples(self, position: int) -> None:
        """samples/step0_<role>.png and wandb: the first images of every camera, and below them as augmented."""
        images = self.batches.batch(position)["images"]
        few = {role: pixels[:8] for role, pixels in images.items()}
        seen = augment(_keys(self.settings)[0], few, self.settings.shift_px) if self.settings.augment else {}
        sheets = {role: sample_sheet(few[role], np.asarray(seen[role]) if seen else None) for role in few}
        save_sheets(self.folder / "samples", sheets)
        self.wandb.log_images(sheets)

    def _diverged(self, state: TrainState, batch: Batch, rows: Batch) -> None:
        """The update was not applied, so `state` is the one that met the bad batch; `rows` are this process's of it."""
        step = int(state.step)
        where = first_bad_leaf(
            state, batch, make_loss(self.pipeline.model_config, self.settings, self.losses), self.trainable
        )
        part = f"_{jax.process_index()}" if jax.process_count() > 1 else ""
        dump = self.folder / "diverged" / f"batch_{step}{part}.npz"
        checkpoints.dump_batch(dump, rows)
        raise TrainingDiverged(
            f"step {step + 1}: not a finite number; the first is in {where}. The batch is in {dump}. "
            f"Look at the data there, or lower schedule.peak_lr {_again(self.folder)}"
        )
