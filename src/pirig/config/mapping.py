"""The part of the schema that says what the columns of a recorded data set are: which role each of them has."""

from __future__ import annotations

from dataclasses import dataclass, field

from pirig.config.domains import AngleUnit, CountOrNone, Positive

EPISODES_TASK = "task"  # data.prompt: LeRobot's own place of a sentence
ROLE_KEYS = {"base_0_rgb": "base", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "right_wrist"}


def key_of(role: str) -> str:
    """Of the column of this role's pictures, below `data`. Raises ValueError for a role that recorded data cannot have."""
    if role not in ROLE_KEYS:
        raise ValueError(
            f"camera role {role}: a mapping of recorded data (data=...) has columns for {', '.join(ROLE_KEYS)}; choose a camera="
            "... with these roles."
        )
    return ROLE_KEYS[role]


@dataclass
class DataConfig:
    """conf/data/ has presets. Without a `name` demos come from the simulator, or from what task=kinova records."""

    name: str = ""
    base: str = "observation.images.base"  # the column of pictures of role base_0_rgb; "": none
    wrist: str = "observation.images.wrist"  # left_wrist_0_rgb
    right_wrist: str = ""  # right_wrist_0_rgb
    state: list[str] = field(default_factory=lambda: ["observation.state"])  # joined, in state.entries' order; x[0:8]
    actions: list[str] = field(default_factory=lambda: ["action"])  # likewise, in control.layout's order
    prompt: str = EPISODES_TASK  # task: each episode's own; or a column of sentences
    angle_unit: AngleUnit = "rad"  # of its joint angles
    gripper_max: Positive = 1.0  # its number at the far end of the gripper: 1, 100 (per cent), 255
    fps: CountOrNone = 0  # what it was recorded at, where meta/info.json is wrong; 0: as it says
    resample: bool = False  # to control.control_hz, where it was recorded at another rate

    def column_of(self, role: str) -> str:
        """Of the pictures that the model knows by this role; "" where there are none."""
        return getattr(self, key_of(role))

    @property
    def columns(self) -> dict[str, str]:
        """By role, those that there are."""
        named = {role: self.column_of(role) for role in ROLE_KEYS}
        return {role: column for role, column in named.items() if column}
