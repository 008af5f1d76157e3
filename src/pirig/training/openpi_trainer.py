"""`trainer=openpi`: an installed openpi trains the same resolved config on the same batches, as a reference run.

openpi's own scripts/train.py runs unchanged. Three names in it are replaced while it runs: the data loader (its LeRobot
reads no v3.0 data set), so that step i sees the rows that pirig's loop would see at step i; wandb.log, whose numbers go
to metrics.jsonl as well; and restore_state, whose arrays are copied on a CPU. Augmentation, optimiser, EMA, sharding and
checkpoints are openpi's. Written against the public repository at 15a9616.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from pirig.config.places import ASSETS, CHECKPOINTS
from pirig.config.schema import Config, Mode, ScheduleConfig
from pirig.files.identity import Identity
from pirig.policies.assets import asset_writer, card_of
from pirig.policies.for_openpi import OPENPI_ROLES, pi0_arguments
from pirig.runs.progress import newest_checkpoint, steps_saved
from pirig.training.batches import Batches, BatchSettings, Prefetch, prepare
from pirig.training.loop import LOSS_WINDOW, TrainResult
from pirig.training.metrics import MetricsFile
from pirig.training.schedules import make_schedule
from pirig.training.tracking import usable_mode
from pirig.training.validation import frames_of
from pirig.weights.fetch import resolve
from pirig.weights.load import params_folder

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset
    from pirig.transforms.pipeline import Pipeline

MODULES = ("models.pi0_config", "models.model", "shared.normalize", "training.checkpoints", "training.config",
           "training.data_loader", "training.optimizer", "training.weight_loaders")  # fmt: skip
ASSET_ID = "pirig"
Batch = dict[str, Any]


def find() -> SimpleNamespace:
    """openpi's modules by their last name, and its scripts/train.py as `script`. Raises ValueError where it is not here."""
    try:
        modules = {name.split(".")[-1]: importlib.import_module(f"openpi.{name}") for name in MODULES}
        script = _script(Path(str(modules["config"].__file__)).resolve().parents[3] / "scripts" / "train.py")
    except ImportError as error:
        raise ValueError(
            f"trainer=openpi: openpi cannot be imported here ({error}). The registry's package of that name is an empty "
            "placeholder: clone github.com/Physical-Intelligence/openpi, let OPENPI=CLONE bash launchers/openpi.sh make "
            "build/openpi with what openpi pins, and run this command with build/openpi/bin/pirig; or choose trainer=pirig, "
            "which trains the same model."
        ) from error
    return SimpleNamespace(**modules, script=script)


def _script(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"trainer=openpi: expected {path}, found none; install openpi from a clone (pip install -e)")
    spec = importlib.util.spec_from_file_location("openpi_scripts_train", path)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def train(
    folder: Path,
    config: Config,
    pipeline: Pipeline,
    dataset: Dataset,
    frames: Mapping[str, np.ndarray],
    held_out: Sequence[int] = (),
    made: Identity | None = None,
) -> TrainResult:
    """Runs openpi's training into `folder`/checkpoints, whose steps are then a policy for `pirig eval`, too.

    With run.mode=resume it goes on from openpi's newest checkpoint, and with the batch that would have come next. `made`:
    what the run is made from, kept in each checkpoint.
    """
    if jax.process_count() > 1:
        raise ValueError("trainer=openpi runs in one process: start it on one node, or choose trainer=pirig")
    openpi, settings, started_s = find(), config.train, time.monotonic()
    out = frames_of(held_out, dataset.lengths)
    batches = prepare(pipeline, dataset, frames, BatchSettings.of(settings), held_out=out)
    done = next(reversed(steps_saved(folder)), -1) + 1  # openpi's step s is the state after s + 1 updates
    resume = config.run.mode == Mode.resume and done > 1  # its checkpoint 0 cannot be resumed from
    loader = Loader(openpi, batches, pipeline, settings.batch_size * done if resume else 0)
    metrics = MetricsFile(folder, done if resume else 0)
    originals = openpi.script.wandb, openpi.data_loader.create_data_loader, openpi.checkpoints.restore_state
    openpi.script.wandb, openpi.data_loader.create_data_loader = WandbTap(originals[0], metrics), loader.create
    openpi.checkpoints.restore_state = lambda *arguments: _donatable(originals[2](*arguments))
    print("openpi trains; it augments in its own way and has no validation loop", file=sys.stderr, flush=True)
    try:
        openpi.script.main(train_config(openpi, config, pipeline, folder, resume=resume))
    finally:
        openpi.script.wandb, openpi.data_loader.create_data_loader, openpi.checkpoints.restore_state = originals
        metrics.close()
        _complete(folder, pipeline, dataset, held_out, made)
    losses = [row["loss"] for row in metrics.rows[-max(1, LOSS_WINDOW // settings.log_every) :]]
    loss, saved = float(np.mean(losses)) if losses else float("nan"), newest_checkpoint(folder)
    if saved is None:
        raise ValueError(f"{folder}: openpi's training ended without a checkpoint; its messages above say why")
    return TrainResult(settings.steps, time.monotonic() - started_s, loss, saved)


def _donatable(state: Any) -> Any:
    """On a CPU Orbax's arrays lie in NumPy's memory; JAX 0.5.3 lets openpi's step donate them, and the process dies."""
    return jax.tree.map(jnp.copy, state) if jax.default_backend() == "cpu" else state


def train_config(openpi: SimpleNamespace, config: Config, pipeline: Pipeline, folder: Path, *, resume: bool) -> Any:
    """openpi's TrainConfig of a resolved config; its checkpoint folder is <folder>/checkpoints."""
    settings, weights = config.train, resolve(config.weights)
    arguments = pi0_arguments(pipeline.model_config, pipeline.state_in_prompt)
    model = openpi.pi0_config.Pi0Config(dtype=pipeline.model_config.compute_dtype, **arguments)
    loaders = openpi.weight_loaders
    start = loaders.CheckpointWeightLoader(str(params_folder(weights))) if weights else loaders.NoOpWeightLoader()
    freeze = {"freeze_filter": model.get_freeze_filter()} if config.finetune.lora else {}
    folder = folder.resolve()
    return openpi.config.TrainConfig(
        name=folder.name,
        exp_name=CHECKPOINTS,
        project_name=settings.project,
        checkpoint_base_dir=str(folder.parent),
        assets_base_dir=str(folder.parent),
        model=model,
        weight_loader=start,
        lr_schedule=lr_schedule(openpi, config.schedule, settings.steps),
        optimizer=openpi.optimizer.AdamW(weight_decay=settings.weight_decay, clip_gradient_norm=settings.clip_norm),
        ema_decay=settings.ema or None,
        seed=settings.seed,
        batch_size=settings.batch_size,
        num_train_steps=settings.steps,
        log_interval=settings.log_every,
        save_interval=settings.save_every,
        keep_period=settings.keep_every or None,
        resume=resume,
        wandb_enabled=usable_mode(settings.wandb) == "online",
        fsdp_devices=config.fsdp.devices,
        **freeze,
    )


def lr_schedule(openpi: SimpleNamespace, schedule: ScheduleConfig, steps: int) -> Any:
    """openpi's config of the same rates: it has a cosine, of which a constant is one that falls by nothing, and rsqrt.

    Raises ValueError as ours does.
    """
    make_schedule(schedule, steps)
    rates = {"warmup_steps": schedule.warmup_steps, "peak_lr": schedule.peak_lr}
    if schedule.name == "rsqrt":
        return openpi.optimizer.RsqrtDecaySchedule(**rates, timescale=schedule.numbers["timescale"])
    if schedule.name == "constant":
        return openpi.optimizer.CosineDecaySchedule(
            **rates, decay_steps=schedule.warmup_steps + 1, decay_lr=schedule.peak_lr
        )
    assert schedule.name == "cosine", schedule.name  # openpi_can_train
    return openpi.optimizer.CosineDecaySchedule(
        **rates, decay_steps=schedule.decay_steps or steps, decay_lr=schedule.final_lr
    )


class Loader:
    """Batches as openpi's data loader: iterates over (Observation, actions) for ever, from `position` on."""

    def __init__(self, openpi: SimpleNamespace, batches: Batches, pipeline: Pipeline, position: int):
        self.openpi, self.batches, self.pipeline, self.position = openpi, batches, pipeline, position
        self.sharding: Any = None

    def create(self, config: Any, *, sharding: Any = None, shuffle: bool = False, **others: Any) -> Loader:
        """Stands for openpi's create_data_loader; the order is that of the seed, whatever `shuffle` says."""
        self.sharding = sharding
        return self

    def data_config(self) -> Any:
        """What openpi writes into each checkpoint's assets."""
        kinds = ("mean", "std", "q01", "q99")
        stats = {
            name: self.openpi.normalize.NormStats(**{kind: getattr(entry, kind) for kind in kinds})
            for name, entry in self.pipeline.stats.items()
        }
        return self.openpi.config.DataConfig(repo_id=ASSET_ID, asset_id=ASSET_ID, norm_stats=stats)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        with Prefetch(self.batches, self.position) as stream:
            for rows in stream:
                named = as_openpi(rows, self.pipeline.model_config.max_token_len)
                if self.sharding is not None:
                    named = jax.tree.map(self._put, named)
                yield self.openpi.model.Observation.from_dict(named), named["actions"]

    def _put(self, part: np.ndarray) -> Any:
        return jax.make_array_from_process_local_data(self.sharding, part)


def as_openpi(batch: Batch, max_token_len: int) -> Batch:
    """A batch under openpi's names: three cameras, absent ones black and masked, prompts padded to `max_token_len`."""
    black = np.zeros_like(next(iter(batch["images"].values())))
    count, used = batch["tokens"].shape
    padding = ((0, 0), (0, max_token_len - used))
    return {
        "image": {role: batch["images"].get(role, black) for role in OPENPI_ROLES},
        "image_mask": {role: np.full(count, role in batch["images"]) for role in OPENPI_ROLES},
        "state": batch["state"],
        "tokenized_prompt": np.pad(batch["tokens"], padding),
        "tokenized_prompt_mask": np.pad(batch["token_mask"], padding),
        "actions": batch["actions"],
    }


class WandbTap:
    """The wandb module for openpi's script, whose logged numbers are written to metrics.jsonl on the way."""

    def __init__(self, wandb: Any, metrics: MetricsFile):
        self._wandb, self._metrics = wandb, metrics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wandb, name)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        if "loss" in values:  # means since the last line; openpi counts from 0
            numbers = {name: float(value) for name, value in values.items()}
            self._metrics.add({"step": step + 1, **numbers})
            self._metrics.flush()
        self._wandb.log(values, step=step)


def _complete(
    folder: Path, pipeline: Pipeline, dataset: Dataset, held_out: Sequence[int], made: Identity | None
) -> None:
    """Adds contract.json and policy.json to each checkpoint's assets, so that it can be evaluated."""
    write = asset_writer(pipeline, card_of(pipeline, dataset, held_out), made)
    for step in steps_saved(folder):
        assets = folder / CHECKPOINTS / str(step) / ASSETS
        assets.mkdir(parents=True, exist_ok=True)
        write(assets)
