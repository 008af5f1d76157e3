"""Whose weights are these? A tree of shapes against the models that we know, and every difference in one sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from pirig.models.layout import flatten, leaf_specs
from pirig.models.sizes import SIZES, LoraConfig, ModelConfig
from pirig.models.towers import siglip
from pirig.models.towers.door import tower_named

Shapes = dict[str, tuple[int, ...]]  # by our path
KIND_LEAVES = {"pi05": "time_mlp_in", "pi0": "action_time_mlp_in"}  # what the other kind lacks


class WeightsError(ValueError):
    """Given weights do not fit the model; the message is one sentence."""


def shapes_of(tree: Mapping[str, Any]) -> Shapes:
    """Leaf path -> shape, of a nested dict or of `stored_leaves`."""
    return {path: tuple(leaf.shape) for path, leaf in flatten(dict(tree)).items()}


def kind_of(tree: Mapping[str, Any]) -> str:
    """ "pi0" or "pi05", of a tree nested or flat. Raises WeightsError for another model's weights."""
    names = {path.split("/")[0] for path in tree}
    for kind, leaf in KIND_LEAVES.items():
        if leaf in names:
            return kind
    missing = " and ".join(KIND_LEAVES.values())
    raise WeightsError(
        f"these are neither pi0 nor pi05 weights: {missing} are missing, found {', '.join(sorted(names))}"
    )


def size_of(shapes: Shapes) -> str:
    """The named size that most of the leaves' shapes belong to; "" where none has a third of them.

    What a size does not fix (action dims, image pixels, patches, vocabulary) is not looked at.
    """
    best, most = "", len(shapes) / 3
    for name in SIZES:
        expected = _stacks(leaf_specs(named_config(shapes, name)))
        same = sum(shapes.get(path) == leaf.shape for path, leaf in expected.items())
        if same > most:
            best, most = name, same
    return best


def named_config(shapes: Shapes, size: str) -> ModelConfig:
    """The ModelConfig of a named size with what the size leaves open taken from a checkpoint's shapes; with SigLIP, as
    all weights have that do not say themselves what they are.

    Raises WeightsError where `kind_of` does.
    """
    base = SIZES[size]
    vlm_lora, expert_lora = (_lora(shapes, suffix) for suffix in ("", "_1"))
    return ModelConfig(
        pi05=kind_of(shapes) == "pi05",
        action_dim=shapes.get("action_in_proj/kernel", (32,))[0],
        action_horizon=50,
        max_token_len=200,
        vocab_size=shapes.get("PaliGemma/llm/embedder/input_embedding", (base.vocab_size,))[0],
        image=siglip.of_shapes(size, shapes),
        vlm=dataclasses.replace(base.vlm, lora=vlm_lora),
        expert=dataclasses.replace(base.expert, lora=expert_lora),
    )


def require_fits(shapes: Shapes, config: ModelConfig, source: str) -> None:
    """Raises WeightsError unless `shapes` are those of the model; a LoRA model's low-rank leaves may be absent."""
    asked = "pi05" if config.pi05 else "pi0"
    kind = _named_kind(shapes, source)
    if kind != asked:
        raise WeightsError(
            f"{source}: these are {kind} weights: {KIND_LEAVES[asked]} is missing; choose model={kind} or {asked} weights"
        )
    expected = {path: leaf.shape for path, leaf in leaf_specs(config).items()}
    tower = tower_named(config.tower)
    if not any(tower.holds(path) for path in shapes):
        raise WeightsError(
            f"{source}: nothing is below {tower.root}, so these weights have another tower than tower={config.tower}; "
            "choose the tower that they were trained with (openpi's have tower=siglip), or weights=scratch"
        )
    wrong = [path for path in sorted(expected) if path in shapes and shapes[path] != expected[path]]
    if wrong:
        raise WeightsError(f"{source}: {_mismatch(shapes, expected, wrong)}")
    missing = [path for path in sorted(expected) if path not in shapes and not is_low_rank(path)]
    if missing:
        raise WeightsError(f"{source}: {listed(missing)} missing; the checkpoint is not a whole {asked} model")
    extra = sorted(set(shapes) - set(expected))
    if extra:
        hint = "; these are LoRA weights: choose finetune=lora" if all(map(is_low_rank, extra)) else ""
        raise WeightsError(f"{source}: {listed(extra)} unknown to the model that was asked{hint}")


def differences(shapes: Shapes, config: ModelConfig) -> list[str]:
    """One line per leaf that is missing, unknown or of another shape; [] if the tree is exactly the model's."""
    expected = {path: leaf.shape for path, leaf in leaf_specs(config).items()}
    lines = []
    for path in sorted(set(shapes) | set(expected)):
        if path not in shapes:
            lines.append(f"{path}: missing, expected {expected[path]}")
        elif path not in expected:
            lines.append(f"{path}: {shapes[path]}, unknown to this model")
        elif shapes[path] != expected[path]:
            lines.append(f"{path}: {shapes[path]} != {expected[path]}")
    return lines


def is_low_rank(path: str) -> bool:
    return "lora" in path


def listed(paths: Iterable[str]) -> str:
    """ "a is", "a and b are", "a and 5 more are"."""
    first, *others = paths
    if not others:
        return f"{first} is"
    return f"{first} and {others[0]} are" if len(others) == 1 else f"{first} and {len(others)} more are"


def _named_kind(shapes: Shapes, source: str) -> str:
    try:
        return kind_of(shapes)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error


def _mismatch(shapes: Shapes, expected: Shapes, wrong: list[str]) -> str:
    """ "action_in_proj/kernel: (32, 1024) != (8, 64); these are full weights, size=tiny was asked"."""
    shown = next((path for path in wrong if path == "action_in_proj/kernel"), wrong[0])
    text = f"{shown}: {shapes[shown]} != {expected[shown]}"
    other_leaves = f" (and {len(wrong) - 1} more leaves)" if len(wrong) > 1 else ""
    theirs, ours = size_of(shapes), size_of(expected)
    if theirs != ours:
        asked = f"size={ours} was asked" if ours else "a model of another size was asked"
        return f"{text}{other_leaves}; these are {theirs or 'no named size of'} weights, {asked}"
    dims = shapes.get("action_in_proj/kernel", (0,))[0], expected["action_in_proj/kernel"][0]
    if dims[0] != dims[1]:
        return f"{text}{other_leaves}; these weights have action_dim {dims[0]}, size.action_dim={dims[1]} was asked"
    return f"{text}{other_leaves}; same named size, so compare size.image_px, size.patch_px, the vocabulary and LoRA's rank"


def _stacks(specs: Mapping[str, Any]) -> dict[str, Any]:
    return {path: leaf for path, leaf in specs.items() if not is_low_rank(path)}


def _lora(shapes: Shapes, suffix: str) -> LoraConfig | None:
    """The rank as stored; alpha is not in the weights, openpi's presets have alpha = rank."""
    shape = shapes.get(f"PaliGemma/llm/layers/mlp{suffix}/linear_lora_a")
    return LoraConfig(shape[-1], float(shape[-1])) if shape else None
