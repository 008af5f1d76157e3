"""A checkpoint of ours as a folder that openpi loads, with the config to paste beside it.

<folder>/
    params/                          Orbax {"params": tree}; every leaf's path ends in "value", as openpi writes it
    assets/<asset id>/norm_stats.json
    openpi_config.py                 the TrainConfig to paste into openpi's src/openpi/training/config.py
    README.md                        how, and what openpi will do differently
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pirig.config.mixes import PER_SOURCE
from pirig.config.places import STATS_FILE
from pirig.contract import Contract
from pirig.files.atomic import staging_folder
from pirig.models.layout import leaf_specs
from pirig.models.sizes import SIZES, ModelConfig
from pirig.models.towers.door import tower_named
from pirig.policies.card import PolicyCard, assets_beside, card_beside
from pirig.weights.load import ROOT, load_params, params_folder
from pirig.weights.match import WeightsError, size_of
from pirig.weights.save import save_params

OPENPI_IMAGE_PX = 224
OPENPI_ROLES = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")


@dataclass(frozen=True)
class Exported:
    """What is exported: where from, its model, and what openpi must be told about its data."""

    source: Path
    config: ModelConfig
    contract: Contract
    card: PolicyCard

    @property
    def size(self) -> str:
        return size_of({path: leaf.shape for path, leaf in leaf_specs(self.config).items()})


def export(source: Path, folder: Path, *, asset_id: str = "pirig", dtype: Any = None) -> Exported:
    """Write `folder` from a run's folder (its newest checkpoint) or a checkpoint's folder of ours.

    Raises WeightsError where `source` is none of ours, its tree is not its own model's or its tower is not openpi's,
    FileExistsError where `folder` exists.
    """
    params = params_folder(source)
    assets, card = assets_beside(params), card_beside(params)
    if assets is None or card is None:
        raise WeightsError(
            f"{source}: there is no assets/*/policy.json beside params/, so pirig did not write it; if openpi did, "
            "openpi reads it as it is"
        )
    if not asset_id or asset_id in (".", "..") or Path(asset_id).is_absolute() or ".." in Path(asset_id).parts:
        raise WeightsError(f"asset id {asset_id!r}: expected a relative name, or the statistics leave the checkpoint")
    config = card.model
    if not tower_named(config.tower).in_openpi:
        raise WeightsError(
            f"{source}: this policy sees with tower={config.tower}, which openpi does not have; serve it with `pirig serve`, "
            "or train a policy with tower=siglip"
        )
    if card.norm_stats == PER_SOURCE:
        raise WeightsError(
            f"{source}: each of its tasks is normalised by its own statistics (mix.norm_stats={PER_SOURCE}), openpi has one set "
            "for a policy; train with mix.norm_stats=joint to export"
        )
    exported = Exported(params.parent, config, Contract.load(assets), card)
    tree = load_params(params, config, dtype)
    with staging_folder(folder.absolute()) as staging:
        save_params(staging / ROOT, tree)
        (staging / "assets" / asset_id).mkdir(parents=True)
        shutil.copyfile(assets / STATS_FILE, staging / "assets" / asset_id / STATS_FILE)
        snippet = train_config(exported, folder.absolute().name, asset_id)
        (staging / "openpi_config.py").write_text(snippet)
        (staging / "README.md").write_text(_readme(exported, folder.absolute().name))
    return exported


def caveats(exported: Exported) -> list[str]:
    """What openpi does otherwise than this checkpoint was trained with; [] if nothing."""
    config, card = exported.config, exported.card
    usual = "quantile" if config.pi05 else "zscore"
    unlike = []
    if exported.size != "full" or config.vocab_size != SIZES["full"].vocab_size:
        unlike.append(
            "openpi has no variant of this size: only size=full (gemma_2b, gemma_300m, So400m/14) loads there."
        )
    if config.image.image_px != OPENPI_IMAGE_PX:
        unlike.append(f"openpi's images have {OPENPI_IMAGE_PX} pixels, this model's {config.image.image_px}.")
    if card.normalization != usual:
        unlike.append(f"openpi normalises this kind by {usual}, this checkpoint was trained with {card.normalization}.")
    if card.tokenizer == "BuiltinTokenizer":
        unlike.append("This checkpoint's prompts are encoded by pirig's word list, openpi's by PaliGemma's tokenizer.")
    unknown = [camera.role for camera in exported.contract.cameras if camera.role not in OPENPI_ROLES]
    if unknown:
        unlike.append(f"openpi has no camera {', '.join(unknown)}; it knows {', '.join(OPENPI_ROLES)}.")
    odd = [name for name in ("vlm", "expert") if (lora := getattr(config, name).lora) and lora != _preset(name)]
    if odd:
        unlike.append(f"openpi's LoRA of the {' and the '.join(odd)} has another rank or alpha; change its preset.")
    return unlike


def train_config(exported: Exported, name: str, asset_id: str) -> str:
    """Python to paste into openpi's training/config.py: one transform for inputs, one for outputs, one TrainConfig."""
    config, contract = exported.config, exported.contract
    lora = config.vlm.lora is not None or config.expert.lora is not None
    present = [camera.role for camera in contract.cameras if camera.role in OPENPI_ROLES]
    return _SNIPPET.format(
        name=name,
        identifier=re.sub(r"\W", "_", name),
        model=_model_call(config, exported.card.state_in_prompt),
        roles=OPENPI_ROLES,
        present=tuple(present),
        action_dim=contract.action_dim,
        asset_id=asset_id,
        repack={role: f"observation.images.{role}" for role in present},
        freeze="\n        freeze_filter=model.get_freeze_filter(),\n        ema_decay=None," if lora else "",
        **_relative(exported.card.relative_to_state),
    )


def _relative(counts: Sequence[int]) -> dict[str, str]:
    """What the snippet says of actions that are relative to the state: openpi's own pair of transforms, or nothing."""
    if not counts:
        return {"delta": "", "absolute": "", "mask": ""}
    mask = f"\n    relative_to_state = _transforms.make_bool_mask({', '.join(map(str, counts))})"
    inputs, outputs = (f"_transforms.{name}(relative_to_state)" for name in ("DeltaActions", "AbsoluteActions"))
    return {"delta": f", {inputs}", "absolute": f"{outputs}, ", "mask": mask}


def pi0_arguments(config: ModelConfig, state_in_prompt: bool) -> dict[str, Any]:
    """The arguments of openpi's Pi0Config that make this model (of size=full)."""
    arguments: dict[str, Any] = {
        "pi05": config.pi05,
        "action_dim": config.action_dim,
        "action_horizon": config.action_horizon,
        "max_token_len": config.max_token_len,
        "paligemma_variant": "gemma_2b_lora" if config.vlm.lora else "gemma_2b",
        "action_expert_variant": "gemma_300m_lora" if config.expert.lora else "gemma_300m",
    }
    if config.pi05:
        arguments["discrete_state_input"] = state_in_prompt
    return arguments


def _model_call(config: ModelConfig, state_in_prompt: bool) -> str:
    arguments = pi0_arguments(config, state_in_prompt)
    quoted = {name: json.dumps(value) if isinstance(value, str) else value for name, value in arguments.items()}
    lines = "".join(f"        {name}={value},\n" for name, value in quoted.items())
    return f"pi0_config.Pi0Config(\n{lines}    )"


def _preset(stack: str) -> Any:
    return SIZES["full"].vlm_lora if stack == "vlm" else SIZES["full"].expert_lora


def _readme(exported: Exported, name: str) -> str:
    warnings = "".join(f"- {text}\n" for text in caveats(exported))
    contract = exported.contract
    return _README.format(
        name=name,
        kind="pi0.5" if exported.config.pi05 else "pi0",
        env=contract.envs,
        mode=contract.control_mode,
        hz=contract.control_hz,
        state=", ".join(contract.state),
        cameras=", ".join(camera.role for camera in contract.cameras),
        warnings=f"\n## openpi will not do the same\n{warnings}" if warnings else "",
    )


_SNIPPET = '''# Paste all of this into openpi's src/openpi/training/config.py, above the list _CONFIGS, and the call
# {identifier}_config("<this folder>") into that list. Written for openpi of 2026-06.
import dataclasses

import numpy as np

import openpi.models.pi0_config as pi0_config
import openpi.training.weight_loaders as weight_loaders
import openpi.transforms as _transforms
from openpi.training.config import AssetsConfig, DataConfig, SimpleDataConfig, TrainConfig


def _image_u8(image):
    """LeRobot's float [3, h, w] in [0, 1] or a robot's u8 [h, w, 3] -> u8 [h, w, 3]."""
    image = np.asarray(image)
    image = (255 * image).astype(np.uint8) if np.issubdtype(image.dtype, np.floating) else image
    return np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image


@dataclasses.dataclass(frozen=True)
class PirigInputs(_transforms.DataTransformFn):
    """{{"image": {{role: image}}, "state": [n], "prompt": text}} -> openpi's names; absent cameras are masked."""

    def __call__(self, data):
        images = {{role: _image_u8(data["image"][role]) for role in {present}}}
        black = np.zeros_like(next(iter(images.values())))
        rest = {{key: np.array(data[key]) for key in ("state", "actions") if key in data}}
        rest |= {{"prompt": data["prompt"]}} if "prompt" in data else {{}}
        return rest | {{
            "image": {{role: images.get(role, black) for role in {roles}}},
            "image_mask": {{role: np.bool_(role in images) for role in {roles}}},
        }}


@dataclasses.dataclass(frozen=True)
class PirigOutputs(_transforms.DataTransformFn):
    def __call__(self, data):
        return {{"actions": np.asarray(data["actions"][:, :{action_dim}])}}


def {identifier}_config(folder, repo_id="{asset_id}"):
    """`folder`: where this file was exported to. `repo_id`: a LeRobot data set, only to train on in openpi."""
    model = {model}{mask}
    repack = _transforms.RepackTransform({{
        "image": {repack},
        "state": "observation.state",
        "actions": "action",
        "prompt": "prompt",
    }})  # fmt: skip
    return TrainConfig(
        name="{name}",
        model=model,
        data=SimpleDataConfig(
            repo_id=repo_id,
            assets=AssetsConfig(assets_dir=f"{{folder}}/assets", asset_id="{asset_id}"),
            data_transforms=lambda _: _transforms.Group(
                inputs=[PirigInputs(){delta}],
                outputs=[{absolute}PirigOutputs()],
            ),
            base_config=DataConfig(
                repack_transforms=_transforms.Group(inputs=[repack]),
                action_sequence_keys=("action",),
                prompt_from_task=True,
            ),
        ),
        weight_loader=weight_loaders.CheckpointWeightLoader(f"{{folder}}/params"),{freeze}
    )
'''

_README = """# {name}: {kind} from pirig, for openpi

Trained for {env}, control mode {mode} at {hz} Hz, state {state}, cameras {cameras}.

Paste `openpi_config.py` as its first lines say, then serve with openpi:

    scripts/serve_policy.py policy:checkpoint --policy.config={name} --policy.dir=<this folder>

A request is `{{"image": {{role: u8 [h, w, 3]}}, "state": [n], "prompt": text}}`.

To train on with openpi, give `repo_id` (openpi of 2026-06 pins a LeRobot that reads data sets of v2.1).
{warnings}"""
