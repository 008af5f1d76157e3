"""`pirig train`: a policy from a data set, into the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.agreement import contract_of
from pirig.config.schema import Config, Mode
from pirig.contract import Contract, require_equal
from pirig.runs.record import open_run, set_status
from pirig.stages import stats

if TYPE_CHECKING:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.models.sizes import ModelConfig
    from pirig.training.loop import TrainResult
    from pirig.transforms.pipeline import Pipeline


def run(config: Config) -> int:
    folder = open_run(config, contract_of(config))
    result = make(config, folder)
    print(f"trained {result.steps} steps in {result.seconds:.0f} s, loss {result.loss:.4f}: {folder}")
    return 0


def make(config: Config, folder: Path) -> TrainResult:
    """Trains into an opened run folder, going on from its newest checkpoint if it has one."""
    from pirig.datasets.frame_cache import frame_cache
    from pirig.datasets.lerobot_read import Dataset
    from pirig.training.loop import train

    if config.weights.kind or config.finetune.lora:
        raise ValueError(
            f"weights={config.weights.name} finetune={config.finetune.name}: training from given weights is not in this "
            "version; choose weights=scratch finetune=full."
        )
    if config.fsdp.devices > 1:
        raise ValueError(f"fsdp={config.fsdp.devices}: several devices are not in this version; choose fsdp=1.")
    stats_path = stats.make(config)
    dataset = Dataset(stats.dataset_folder(config))
    require_equal(contract_of(config), dataset.contract, our_name="this run", their_name=f"data set {dataset.folder}")
    require_long_enough(config, dataset)
    pipeline = pipeline_of(config, dataset.contract, stats_path)
    frames = frame_cache(dataset, config.size.image_px, dataset.folder.parent)
    set_status(folder, "train", "running")
    result = train(
        folder,
        config.train,
        pipeline,
        dataset,
        frames,
        resume=config.run.mode == Mode.resume,
        experiment=config.run.name,
    )
    set_status(folder, "train", "done", steps=result.steps, loss=result.loss)
    return result


def require_long_enough(config: Config, dataset: Dataset) -> None:
    """Raises ValueError where the data set's own shortest episode is shorter than an action chunk."""
    shortest = min(dataset.lengths)
    if config.horizon.steps > shortest:
        raise ValueError(
            f"horizon={config.horizon.steps}: the shortest episode of {dataset.folder} has {shortest} steps; "
            f"choose a horizon of at most {shortest}."
        )


def model_of(config: Config) -> ModelConfig:
    from pirig.models.sizes import model_config

    return model_config(
        pi05=config.model.pi05,
        size=config.size.name,
        lora=config.finetune.lora,
        action_dim=config.size.action_dim,
        action_horizon=config.horizon.steps,
        max_token_len=config.size.max_token_len,
        image_px=config.size.image_px,
        patch_px=config.size.patch_px,
        compute_dtype=config.size.compute_dtype,
    )


def pipeline_of(config: Config, contract: Contract, stats_path: Path) -> Pipeline:
    from pirig.models.tokenizer import BuiltinTokenizer
    from pirig.transforms.normalize import load_norm_stats
    from pirig.transforms.pipeline import Pipeline

    if config.size.tokenizer != "builtin":
        raise ValueError(f"size.tokenizer={config.size.tokenizer}: only builtin is in this version.")
    return Pipeline(
        contract=contract,
        model_config=model_of(config),
        normalization=config.model.normalization,
        state_in_prompt=config.model.state_in_prompt,
        stats=load_norm_stats(stats_path),
        tokenizer=BuiltinTokenizer(config.size.max_token_len),
    )
