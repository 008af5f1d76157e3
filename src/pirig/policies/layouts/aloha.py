"""The keys of openpi's ALOHA example: cameras by their names under `images`, pictures [3, H, W]."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.policies.layouts import PROMPT, Request, Shown
from pirig.policies.layouts.parts import BASE, SECOND_WRIST, WRIST
from pirig.policies.layouts.parts import shown as checked

CAMERAS = {BASE: "cam_high", WRIST: "cam_left_wrist", SECOND_WRIST: "cam_right_wrist"}
KEYS = ("images.cam_high", "state")


def read(request: Request, contract: Contract) -> Shown:
    pictures = {role: f"images.{name}" for role, name in CAMERAS.items()}
    return checked(request, contract, pictures, ("state",), channels_first=True)


def write(shown: Shown, contract: Contract) -> dict[str, Any]:
    turned = {
        CAMERAS[role]: np.ascontiguousarray(image.transpose(2, 0, 1))
        for role, image in shown.images.items()
        if role in CAMERAS
    }
    return {"images": turned, "state": shown.state, PROMPT: shown.prompt or contract.scenes[0].prompt}


def example(random: np.random.Generator) -> dict[str, Any]:
    """What openpi's ALOHA client sends: four pictures of 224 px, 14 numbers."""
    cameras = [*CAMERAS.values(), "cam_low"]
    pictures = {name: random.integers(0, 256, (3, 224, 224), np.uint8) for name in cameras}
    return {"images": pictures, "state": random.random(14), PROMPT: "do something"}
