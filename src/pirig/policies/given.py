"""A checkpoint that was never trained here, as a policy: openpi's layout, its own or given norm stats, the config's contract.

<folder>/params/                          the weights
<folder>/assets/<asset id>/norm_stats.json

What no file of such a checkpoint says (contract, horizon, normalisation, tokenizer) is the config's, and the result says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.config.names import ROLES
from pirig.config.places import META, STATS_FILE
from pirig.config.schema import Config
from pirig.contract import Contract, require_equal
from pirig.policies.build import model_of
from pirig.policies.card import assets_beside
from pirig.transforms.normalize import NormStats, load_norm_stats
from pirig.transforms.pipeline import Pipeline

if TYPE_CHECKING:
    from pirig.policies.policy import Policy

ASSETS_FOLDER = "assets"


@dataclass(frozen=True)
class Given:
    """`params`: the Orbax folder. `black_cameras`: roles that it gets as black pictures which it takes for valid."""

    params: Path
    stats_file: Path
    pipeline: Pipeline
    black_cameras: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.params.parent if self.params.name == "params" else self.params

    def policy(self, *, flow_steps: int, batch_size: int) -> Policy:
        from pirig.policies.policy import Policy
        from pirig.weights.load import load_params, on_device

        params = load_params(self.params, self.pipeline.model_config, place=on_device)
        sizes = {"flow_steps": flow_steps, "batch_size": batch_size}
        return Policy(params, self.pipeline, black_cameras=self.black_cameras, **sizes)

    @property
    def identity(self) -> dict[str, Any]:
        """What the outcome of an episode depends on: the weights' files, the statistics, the contract, the habits."""
        files = sorted(path for path in self.params.rglob("*") if path.is_file())
        sizes = "".join(f"{path.relative_to(self.params)} {path.stat().st_size}\n" for path in files)
        index = b"".join(path.read_bytes() for path in files if path.name in ("_METADATA", "manifest.ocdbt"))
        return {
            "weights": hashlib.sha256(sizes.encode() + index).hexdigest()[:16],
            "norm_stats": hashlib.sha256(self.stats_file.read_bytes()).hexdigest()[:16],
            "contract": self.pipeline.contract.hash,
            "black_cameras": list(self.black_cameras),
        }

    def lines(self) -> list[str]:
        """What is measured, in words: it was never trained here, so nothing vouches for how it is used."""
        model, contract = self.pipeline.model_config, self.pipeline.contract
        kind = "pi0.5" if model.pi05 else "pi0"
        lines = [
            f"given       {self.folder}: {kind} weights that were not trained in this run",
            f"norm stats  {self.stats_file}",
            f"contract    {contract.hash}, from the config: chunks of {model.action_horizon}, {self.pipeline.normalization}, "
            f"{', '.join(repr(scene.prompt) for scene in contract.scenes)}",
        ]
        if self.black_cameras:
            lines.append(f"habit       {', '.join(self.black_cameras)}: black and taken for valid")
        return lines


def given_of(config: Config, contract: Contract, source: Path) -> Given:
    """Raises ValueError where the weights are of another model, or there are no norm stats of the contract's width.

    A checkpoint of ours has its own contract: ContractError where that is another one.
    """
    from pirig.weights.load import params_folder, stored_leaves
    from pirig.weights.match import require_fits, shapes_of

    params = params_folder(source)
    black = _black_cameras(config, contract)
    assets = assets_beside(params)
    if assets is not None and config.weights.norm_stats is None:
        from pirig.policies.policy import load_pipeline

        trained = Contract.load(assets)
        require_equal(contract, trained, our_name="this config", their_name=f"the checkpoint {params.parent}")
        pipeline = load_pipeline(params.parent)
        return Given(params, assets / STATS_FILE, pipeline, black)
    stats_file = _stats_file(params, config.weights.norm_stats)
    pipeline = _pipeline(config, contract, stats_file)
    require_fits(shapes_of(stored_leaves(params)), pipeline.model_config, str(source))
    return Given(params, stats_file, pipeline, black)


def _pipeline(config: Config, contract: Contract, stats_file: Path) -> Pipeline:
    from pirig.policies.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(config.size.tokenizer, config.size.max_token_len, config.weights.url)
    stats = load_norm_stats(stats_file)
    for name, width in (("state", contract.state_dim), ("actions", contract.action_dim)):
        _require_width(stats_file, stats, name, width)
    return Pipeline(
        contract=contract,
        model_config=model_of(config, tokenizer.vocab_size),
        normalization=config.model.normalization,
        state_in_prompt=config.model.state_in_prompt,
        stats={name: _cut(stats[name], width) for name, width in _widths(contract).items()},
        tokenizer=tokenizer,
        relative_to_state=tuple(config.control.relative_to_state),
    )


def _widths(contract: Contract) -> dict[str, int]:
    return {"state": contract.state_dim, "actions": contract.action_dim}


def _cut(stats: NormStats, width: int) -> NormStats:
    """Without padding."""
    mean, std, q01, q99 = (
        None if part is None else np.asarray(part)[:width] for part in (stats.mean, stats.std, stats.q01, stats.q99)
    )
    assert mean is not None and std is not None
    return NormStats(mean, std, q01, q99)


def _require_width(file: Path, stats: dict[str, NormStats], name: str, width: int) -> None:
    """As many numbers as the contract has, or these and zeros behind them, as openpi pads."""
    remedy = "give weights.norm_stats=FILE of the data that it was trained on, or the state and control that it was trained with"
    if name not in stats:
        raise ValueError(f"{file}: no statistics of {name!r}, it has {', '.join(stats) or 'none'}; {remedy}.")
    mean = np.asarray(stats[name].mean)
    padding = [
        np.asarray(part)[width:] for part in (stats[name].mean, stats[name].q01, stats[name].q99) if part is not None
    ]
    if len(mean) < width or any(part.any() for part in padding):
        raise ValueError(
            f"{file}: statistics of {len(mean)} numbers of {name}; expected the contract's {width}; {remedy}."
        )


def _stats_file(params: Path, chosen: str | None) -> Path:
    """`weights.norm_stats` (a file, a data set, or the name of one of several assets), else the checkpoint's only ones."""
    assets = params.parent / ASSETS_FOLDER
    own = sorted(assets.rglob(STATS_FILE)) if assets.is_dir() else []
    if chosen is not None:
        path = Path(chosen).expanduser()
        places = [path, path / STATS_FILE, path / META / STATS_FILE, assets / chosen / STATS_FILE]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise ValueError(
                f"weights.norm_stats={chosen}: no {STATS_FILE} there; expected such a file, a data set that `pirig stats` has "
                f"seen, or one of {', '.join(_names(own, assets)) or 'the assets, of which it has none'}."
            )
        return file
    if len(own) == 1:
        return own[0]
    there = (
        f"{len(own)} norm stats in {assets} ({', '.join(_names(own, assets))})" if own else f"no norm stats in {assets}"
    )
    remedy = "weights.norm_stats=" + (_names(own, assets)[0] if own else "FILE, or of a data set's folder")
    raise ValueError(f"{params.parent}: {there}; expected assets/<name>/{STATS_FILE} once: give {remedy}.")


def _names(files: list[Path], assets: Path) -> list[str]:
    return [str(file.parent.relative_to(assets)) for file in files]


def _black_cameras(config: Config, contract: Contract) -> tuple[str, ...]:
    """openpi's cameras that the contract lacks, where the checkpoint took black ones for valid."""
    if not config.weights.habits.black_camera_valid:
        return ()
    seen = {camera.role for camera in contract.cameras}
    return tuple(role for role in ROLES if role not in seen)
