"""Pictures by role under `images`, the contract's own state under `state`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.policies.layouts import DELAY, NOISE, PROMPT, UNDERWAY, Request, Shown
from pirig.policies.layouts.parts import shown as checked

KEYS = ("images.base_0_rgb", "state")


def read(request: Request, contract: Contract) -> Shown:
    """`images`: {role: u8 [H, W, 3]}, `state`: [state_dim]."""
    pictures = {camera.role: f"images.{camera.role}" for camera in contract.cameras}
    return checked(request, contract, pictures, ("state",), channels_first=False)


def write(shown: Shown, contract: Contract) -> dict[str, Any]:
    request: dict[str, Any] = {"images": dict(shown.images), "state": shown.state}
    optional: dict[str, Any] = {PROMPT: shown.prompt, NOISE: shown.noise}
    if shown.underway:
        optional |= {UNDERWAY: shown.underway.actions, DELAY: shown.underway.delay}
    return request | {key: value for key, value in optional.items() if value is not None}


def example(random: np.random.Generator) -> dict[str, Any]:
    """Raises ValueError: what is asked depends on the contract."""
    raise ValueError("a request of this layout follows the server's contract, and this server says none")
