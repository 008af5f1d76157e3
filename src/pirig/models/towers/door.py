"""What a vision tower is: images in, tokens as wide as the language model out. One file here, one YAML in conf/tower/.

`conf/tower/NAME.yaml` says `name: NAME`; then NAME.py in this folder holds `TOWER = Tower(...)`. No other file knows it:
parameters, their start, FLOPs, memory, freezing, checkpoints and sharding all ask the tower.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
from jaxtyping import Float

from pirig.models.leaves import Specs, Tree

USUAL = "siglip"  # of every model that was made before towers had names


class TowerConfig(Protocol):
    """What others read of a tower's own config: a frozen dataclass of numbers and strings (policy.json keeps it)."""

    @property
    def image_px(self) -> int:
        """Both sides of an image as it comes in."""
        ...

    @property
    def tokens(self) -> int:
        """Tokens that leave the tower, per camera."""
        ...


class Encode(Protocol):
    def __call__(
        self, params: Tree, config: Any, images: Mapping[str, jax.Array], *, dtype: Any, remat: bool
    ) -> Float[jax.Array, "cameras batch tokens width"]:
        """Images by role, at least one, each [B, H, W, 3] uint8, or float in [-1, 1] -> tokens in `dtype`.

        Cameras in the order of their roles' names; as many tokens as the config says, of the VLM's width. `params` are the leaves
        below the tower's root. With `remat` the backward pass computes layers again instead of keeping them.
        """
        ...


class EncodeWithHeat(Protocol):
    def __call__(
        self, params: Tree, config: Any, images: Mapping[str, jax.Array], *, dtype: Any, remat: bool
    ) -> tuple[Float[jax.Array, "cameras batch tokens width"], Float[jax.Array, "cameras batch side side maps"]]:
        """What `encode` gives, and the logarithms of heat maps, rows first: one that learns shows where a thing is."""
        ...


@dataclass(frozen=True)
class Activations:
    """Bytes per image that the forward pass leaves for the backward one, without remat (`kept`) and with it: `inputs` of
    all layers, and `largest`, what the largest layer keeps while it is computed again."""

    kept: float
    inputs: float
    largest: float


def _as_drawn(key: jax.Array, config: Any, params: Tree) -> Tree:
    return params


@dataclass(frozen=True)
class Tower:
    """`name`: as in the YAML. `root`: the path above its leaves in the model's tree, such as "tower/keypoints".

    config: the class of its config. sized(size, image_px, patch_px, settings): the config of a named size, `settings`
        those of its YAML, `patch_px` the size's (None: its own) for a tower that cuts patches; ValueError where a setting
        is unknown or nothing for this size.
    leaves(config, width): its parameters by path below the root, `width` the VLM's. Leaves below a path element "layers"
        have a leading depth axis, which is never split over devices.
    flops(config, width): FLOPs of one image's forward pass by leaf; under "" those of products without one (attention).
    activations(config, item_bytes): for the estimate of memory; a number takes `item_bytes`.
    fresh(key, config, params): its leaves as they start where no checkpoint has them, from those that `leaves` draws.
    encode_with_heat: for one that has heat maps, so that they can be taught (`training/heat.py`).
    in_openpi: openpi has this tower under these paths, so such a checkpoint may be exported, or come from there.
    """

    name: str
    root: str
    config: Callable[..., TowerConfig]
    sized: Callable[[str, int, int | None, Mapping[str, Any]], TowerConfig]
    leaves: Callable[[Any, int], Specs]
    encode: Encode
    flops: Callable[[Any, int], Mapping[str, float]]
    activations: Callable[[Any, int], Activations]
    fresh: Callable[[jax.Array, Any, Tree], Tree] = _as_drawn
    encode_with_heat: EncodeWithHeat | None = None
    in_openpi: bool = False

    def of(self, params: Tree) -> Tree:
        """Its own leaves in a model's tree."""
        for name in self.root.split("/"):
            params = params[name]
        return params

    def put(self, params: Tree, own: Tree) -> Tree:
        """The model's tree with these leaves of the tower."""

        def replaced(node: Tree, names: list[str]) -> Tree:
            return {**node, names[0]: replaced(node[names[0]], names[1:])} if names else own

        return replaced(params, self.root.split("/"))

    def holds(self, path: str) -> bool:
        """Whether a path of the model's tree is one of its leaves."""
        return path.startswith(f"{self.root}/")


@functools.cache
def tower_named(name: str) -> Tower:
    """Raises ValueError where there is none of this name."""
    if name not in known():
        raise ValueError(f"tower={name}: expected one of {', '.join(known())}; a new one is models/towers/{name}.py")
    return importlib.import_module(f"{__package__}.{name}").TOWER


def known() -> list[str]:
    """Every other file of this folder."""
    folder = importlib.import_module(str(__package__))
    return sorted({module.name for module in pkgutil.iter_modules(folder.__path__)} - {"door"})


def require_settings(name: str, settings: Mapping[str, Any], expected: Collection[str]) -> None:
    """For `sized`: raises ValueError where a setting is not expected."""
    unknown = sorted(set(settings) - set(expected))
    if unknown:
        takes = ", ".join(expected) or "none"
        raise ValueError(f"tower.settings.{unknown[0]}: tower={name} has no such setting; it takes {takes}")
