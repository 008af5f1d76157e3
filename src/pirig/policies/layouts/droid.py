"""The keys of openpi's DROID example: joints and gripper apart, pictures [H, W, 3]."""

from __future__ import annotations

from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.policies.layouts import PROMPT, Request, Shown
from pirig.policies.layouts.parts import BASE, WRIST
from pirig.policies.layouts.parts import shown as checked

PICTURES = {BASE: "observation/exterior_image_1_left", WRIST: "observation/wrist_image_left"}
JOINTS, GRIPPER = "observation/joint_position", "observation/gripper_position"
KEYS = (PICTURES[BASE], JOINTS, GRIPPER)


def read(request: Request, contract: Contract) -> Shown:
    return checked(request, contract, PICTURES, (JOINTS, GRIPPER), channels_first=False)


def write(shown: Shown, contract: Contract) -> dict[str, Any]:
    """The last number of the state is the gripper's."""
    pictures = {key: shown.images[role] for role, key in PICTURES.items() if role in shown.images}
    numbers = {JOINTS: shown.state[:-1], GRIPPER: shown.state[-1:]}
    return pictures | numbers | {PROMPT: shown.prompt or contract.scenes[0].prompt}


def example(random: np.random.Generator) -> dict[str, Any]:
    """What openpi's DROID client sends: two pictures of 224 px, 7 joints, a gripper."""
    pictures = {key: random.integers(0, 256, (224, 224, 3), np.uint8) for key in PICTURES.values()}
    return pictures | {JOINTS: random.random(7), GRIPPER: random.random(1), PROMPT: "do something"}
