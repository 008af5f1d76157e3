"""How a request to a policy server names its pictures, its state and its sentence: a layout is a file of this folder.

Each offers `KEYS` (what a request of its kind always has), `read` (a request -> `Shown`), `write` (the reverse) and `example`. A
request is recognised by its keys; a layout that is added is found by its file's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pirig.contract import Contract
from pirig.policies.underway import Underway

PROMPT, NOISE = "prompt", "noise"  # of every layout; noise is ours: f32 [A, J], so that a chunk can be had again
UNDERWAY, DELAY = "underway", "delay"  # ours too: f32 [k, action_dim] and a whole number, for real-time chunking
Request = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """What a request shows: u8 [H, W, 3] by role, f32 [state_dim] in the contract's units, the sentence or None."""

    images: dict[str, np.ndarray]
    state: np.ndarray
    prompt: str | None = None
    noise: np.ndarray | None = None
    underway: Underway | None = None


class Layout(Protocol):
    KEYS: tuple[str, ...]

    def read(self, request: Request, contract: Contract) -> Shown:
        """Raises ValueError naming what is missing or does not fit."""
        ...

    def write(self, shown: Shown, contract: Contract) -> dict[str, Any]: ...

    def example(self, random: np.random.Generator) -> dict[str, Any]:
        """A made-up request as openpi's own client of this kind sends it."""
        ...


def blank(contract: Contract) -> Shown:
    """A black picture for each camera, a state of zeros, the (first) task's sentence."""
    images = {camera.role: np.zeros((camera.height_px, camera.width_px, 3), np.uint8) for camera in contract.cameras}
    return Shown(images, np.zeros(contract.state_dim, np.float32), contract.scenes[0].prompt)


def random_look(contract: Contract, random: np.random.Generator) -> Shown:
    """Noise in every camera, a state of small numbers, the (first) task's sentence."""
    nothing = blank(contract)
    images = {role: random.integers(0, 256, image.shape, np.uint8) for role, image in nothing.images.items()}
    return Shown(images, random.uniform(-1, 1, contract.state_dim).astype(np.float32), nothing.prompt)


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "parts")


def named(name: str) -> Layout:
    """Raises ValueError that lists the known ones."""
    if name not in names():
        raise ValueError(f"unknown layout {name!r}; expected one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")  # type: ignore[return-value]


def layout_of(request: Any) -> Layout:
    """Of a request, by its keys. Raises ValueError that says what each layout begins with."""
    if not isinstance(request, Mapping):
        raise ValueError(f"a request is a map of names to values, this one is a {type(request).__name__}")
    for name in names():
        layout = named(name)
        if all(_has(request, key) for key in layout.KEYS):
            return layout
    kinds = "; ".join(f"{name}: {', '.join(named(name).KEYS)}" for name in names())
    keys = ", ".join(str(key)[:40] for key in list(request)[:12]) or "nothing"
    raise ValueError(f"the request has {keys}; a layout is known by its keys ({kinds})")


def read(request: Any, contract: Contract) -> Shown:
    """Raises ValueError where the request fits no layout, or does not fit the contract."""
    return layout_of(request).read(request, contract)


def _has(request: Mapping[str, Any], dotted: str) -> bool:
    """`images.cam_high` asks for a key of the map under `images`."""
    key, _, rest = dotted.partition(".")
    if key not in request:
        return False
    return not rest or (isinstance(request[key], Mapping) and _has(request[key], rest))
