"""The training loop: batches in, checkpoints, metrics and a loss curve out; it stops cleanly and resumes exactly."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pirig.config.schema import TrainConfig
from pirig.training import checkpoints
from pirig.training.assets import asset_writer
from pirig.training.augment import augment
from pirig.training.batches import Batches, Prefetch, prepare
from pirig.training.curve import draw_curve
from pirig.training.metrics import MetricsFile, Screen, Wandb, sample_sheet, save_sheets
from pirig.training.optimizer import Tree
from pirig.training.step import (
    Batch,
    FlowModel,
    TrainState,
    first_bad_leaf,
    flow_model,
    init_state,
    make_loss,
    make_train_step,
)
from pirig.training.stopping import StopWish

if TYPE_CHECKING:
    from pirig.datasets.lerobot_read import Dataset
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
    return (model or flow_model()).init_params(_keys(settings)[1], model_config)


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
    resume: bool,
    params: Tree | None = None,
    trainable: Tree | None = None,
    should_stop: Callable[[], bool] | None = None,
    model: FlowModel | None = None,
    experiment: str = "",
) -> TrainResult:
    """Train into `run_folder` up to `settings.steps`; with `resume`, from its newest checkpoint if it has one.

    `params`: weights to start from (None: fresh from the seed). `trainable`: tree of bool, False leaves are frozen.
    `should_stop` is asked after every step. `experiment` titles the curve; `model` None is pi0 or pi0.5.
    Raises TrainingDiverged; ValueError if a checkpoint is there and `resume` is not set, or if it belongs to other settings.
    """
    _check(run_folder, settings, resume)
    batches = prepare(pipeline, dataset, frames, batch_size=settings.batch_size, seed=settings.seed)
    params = initial_params(settings, pipeline.model_config, model) if params is None else params
    state = init_state(params, settings, _keys(settings)[0], trainable)
    position, seconds = 0, 0.0
    found = checkpoints.newest(run_folder) if resume else None
    if found:
        state, progress = checkpoints.restore(found, state, trainable)
        position, seconds = _resume_point(found, progress, batches)
        print(f"resumed from {found} at step {int(state.step)}", file=sys.stderr)
    run = _Run(run_folder, settings, pipeline, dataset, batches, trainable, model, experiment or run_folder.name)
    return run.train(state, position, seconds, should_stop or (lambda: False))


def _check(run_folder: Path, settings: TrainConfig, resume: bool) -> None:
    for name, least in (("steps", 1), ("batch_size", 1), ("flow_samples", 1), ("save_every", 1), ("shift_px", 0)):
        if getattr(settings, name) < least:
            raise ValueError(f"train.{name} is {getattr(settings, name)}; expected at least {least}")
    if not 0 <= settings.ema < 1:
        raise ValueError(f"train.ema is {settings.ema}; expected 0 (off) or a decay below 1, such as 0.99")
    found = checkpoints.newest(run_folder)
    if found and not resume:
        raise ValueError(f"{found} exists already; go on with run.mode=resume or choose another run.name")


def _resume_point(folder: Path, progress: dict[str, Any], batches: Batches) -> tuple[int, float]:
    now = {"seed": batches.seed, "frames": batches.frame_count}
    for name, value in now.items():
        if progress[name] != value:
            raise ValueError(
                f"{folder} was trained with {name} {progress[name]}, this run has {value}: the order of the data would "
                "change in the middle; give the old settings or start another run"
            )
    return progress["position"], progress["seconds"]


@dataclass
class _Run:
    """The fixed things of one run, and its steps."""

    folder: Path
    settings: TrainConfig
    pipeline: Pipeline
    dataset: Dataset
    batches: Batches
    trainable: Tree | None
    model: FlowModel | None
    title: str

    def train(self, state: TrainState, position: int, seconds: float, should_stop: Callable[[], bool]) -> TrainResult:
        first = int(state.step)
        self.metrics = MetricsFile(self.folder, first)
        self.screen = Screen(self.settings.steps, self.settings.log_every)
        config = {**dataclasses.asdict(self.settings), "model": dataclasses.asdict(self.pipeline.model_config)}
        self.wandb = Wandb(self.settings.wandb, self.settings.project, self.folder, config)
        self.write_assets = asset_writer(self.pipeline, self.dataset)
        self.started_s = time.monotonic() - seconds
        try:
            if first == 0:
                self._show_samples(state, position)
            with StopWish() as wish:
                state, position = self._steps(state, position, lambda: bool(wish.name) or should_stop())
            saved = self._save(state, position)
        finally:
            self.metrics.close()
            self.wandb.close()
        losses = [row["loss"] for row in self.metrics.rows[-LOSS_WINDOW:]]
        stopped = (wish.name or "should_stop") if int(state.step) < self.settings.steps else ""
        if stopped:
            print(f"stopped by {stopped} at step {int(state.step)}; go on with run.mode=resume", file=sys.stderr)
        loss = float(np.mean(losses)) if losses else float("nan")
        return TrainResult(int(state.step), self._elapsed_s(), loss, saved, stopped)

    def _steps(self, state: TrainState, position: int, stop: Callable[[], bool]) -> tuple[TrainState, int]:
        settings = self.settings
        train_step = make_train_step(self.pipeline.model_config, settings, trainable=self.trainable, model=self.model)
        done = int(state.step)
        if done < settings.steps:
            print(f"training {settings.steps - done} steps; the first one compiles", file=sys.stderr, flush=True)
        with Prefetch(self.batches, position) as stream:
            while done < settings.steps:
                asked_s = time.monotonic()
                batch = next(stream)
                loaded_s = time.monotonic()
                state, result = train_step(state, batch)
                values = {name: float(value) for name, value in jax.device_get(result).items()}
                if not values["finite"]:
                    self._diverged(state, batch)
                done += 1
                position += settings.batch_size
                self._record(done, values, loaded_s - asked_s, time.monotonic() - asked_s)
                stopping = stop()
                if stopping:
                    break
                if done % settings.save_every == 0 and done < settings.steps:
                    self._save(state, position)
        return state, position

    def _record(self, done: int, values: dict[str, float], loader_s: float, step_s: float) -> None:
        row = {
            "step": done,
            **{name: values[name] for name in ("loss", "grad_norm", "param_norm", "lr")},
            "samples_per_s": round(self.settings.batch_size / step_s, 3),
            "step_s": round(step_s, 6),
            "loader_s": round(loader_s, 6),
            "loader_share": round(loader_s / step_s, 5),
            "elapsed_s": round(self._elapsed_s(), 3),
        }
        self.metrics.add(row)
        self.wandb.log(row)
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
            "frames": self.batches.frame_count,
            "batch_size": self.settings.batch_size,
        }
        saved = checkpoints.save(
            self.folder,
            state,
            progress,
            self.write_assets,
            trainable=self.trainable,
            keep_every=self.settings.keep_every,
        )
        if self.metrics.rows:
            draw_curve(self.metrics.rows, self.folder / CURVE_FILE, self.title)
        return saved

    def _show_samples(self, state: TrainState, position: int) -> None:
        """samples/step0_<role>.png and wandb: the first images of every camera, and below them as augmented."""
        images = self.batches.batch(position)["images"]
        few = {role: pixels[:8] for role, pixels in images.items()}
        seen = augment(state.rng, few, self.settings.shift_px) if self.settings.augment else {}
        sheets = {role: sample_sheet(few[role], np.asarray(seen[role]) if seen else None) for role in few}
        save_sheets(self.folder / "samples", sheets)
        self.wandb.log_images(sheets)

    def _diverged(self, state: TrainState, batch: Batch) -> None:
        """The update was not applied, so `state` is the one that met the bad batch."""
        step = int(state.step)
        where = first_bad_leaf(
            state, batch, make_loss(self.pipeline.model_config, self.settings, self.model), self.trainable
        )
        dump = self.folder / "diverged" / f"batch_{step}.npz"
        checkpoints.dump_batch(dump, batch)
        raise TrainingDiverged(
            f"step {step + 1}: not a finite number; the first is in {where}. The batch is in {dump}. "
            "Look at the data there, or lower train.peak_lr and go on from the last checkpoint with run.mode=resume"
        )
