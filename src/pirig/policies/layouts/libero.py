"""The keys of openpi's LIBERO example: one flat map, pictures [H, W, 3]."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.policies.layouts import PROMPT, Request, Shown
from pirig.policies.layouts.parts import BASE, WRIST
from pirig.policies.layouts.parts import shown as checked

PICTURES = {BASE: "observation/image", WRIST: "observation/wrist_image"}
STATE = "observation/state"
KEYS = (PICTURES[BASE], STATE)


def read(request: Request, contract: Contract) -> Shown:
    return checked(request, contract, PICTURES, (STATE,), channels_first=False)


def write(shown: Shown, contract: Contract) -> dict[str, Any]:
    pictures = {key: shown.images[role] for role, key in PICTURES.items() if role in shown.images}
    return pictures | {STATE: shown.state, PROMPT: shown.prompt or contract.scenes[0].prompt}


def example(random: np.random.Generator) -> dict[str, Any]:
    """What openpi's LIBERO client sends: two pictures of 224 px, 8 numbers."""
    pictures = {key: random.integers(0, 256, (224, 224, 3), np.uint8) for key in PICTURES.values()}
    return pictures | {STATE: random.random(8), PROMPT: "do something"}
