"""What data, policy and simulator must agree on, as one value that travels with all three.

The contract is made once from the resolved config, written into the dataset, copied into the checkpoint, and every
later stage rebuilds its environment and its transforms from that copy. `require_equal` is the only gate.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

CONTRACT_VERSION = 1
FILE_NAME = "contract.json"


class ContractError(ValueError):
    """Two copies of the contract disagree, or a contract file cannot be read."""


@dataclass(frozen=True)
class Camera:
    """One camera: `role` is the model's name of it, `sensor` the simulator's.

    `eye_m`, `target_m` (world frame, metres) and `fov_rad` are None where the simulator's own mounting is kept.
    """

    role: str
    sensor: str
    width_px: int
    height_px: int
    fov_rad: float | None = None
    eye_m: tuple[float, float, float] | None = None
    target_m: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Contract:
    """The agreement. Rates in Hz, sizes in pixels; `action_dim` and `state_dim` count unpadded numbers.

    `state` names the observation entries that are concatenated, in order (for example ``("qpos8", "goal_pos")``).
    `gripper_open` is the value of the last action number that opens the gripper. `goal_shown`: the cameras see the goal
    site that ManiSkill hides from them. `angle_center_rad`: of a real arm, per joint; its angles, in state and action, are
    taken to within pi of it, so that a joint's position has one number. Where there is no simulator, `env_id`, `sim_backend`
    and `shader` are empty, `sim_hz` is 0 and a camera's `sensor` is its column in the recorded data set.
    """

    env_id: str
    robot_uid: str
    control_mode: str
    control_hz: int
    sim_hz: int
    sim_backend: str
    shader: str
    cameras: tuple[Camera, ...]
    state: tuple[str, ...]
    state_dim: int
    action_dim: int
    action_layout: str
    gripper_open: float
    prompt: str
    image_px: int
    fps: int
    goal_shown: bool = False
    angle_center_rad: tuple[float, ...] = ()
    version: int = CONTRACT_VERSION

    def to_json(self) -> str:
        fields = dataclasses.asdict(self)
        if not self.goal_shown:
            del fields["goal_shown"]  # so that contracts from before this field keep their hash
        if not self.angle_center_rad:
            del fields["angle_center_rad"]
        return json.dumps(fields, indent=2, sort_keys=True)

    @staticmethod
    def from_json(text: str, source: str = "contract") -> Contract:
        try:
            raw = json.loads(text)
            cameras = tuple(_camera(entry) for entry in raw.pop("cameras"))
            state, center = tuple(raw.pop("state")), tuple(raw.pop("angle_center_rad", ()))
            return Contract(cameras=cameras, state=state, angle_center_rad=center, **raw)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ContractError(
                f"{source}: not a contract of version {CONTRACT_VERSION} ({error}); "
                "make the data set or the checkpoint again with this version of pirig"
            ) from error

    def save(self, folder: Path) -> None:
        (folder / FILE_NAME).write_text(self.to_json() + "\n")

    @staticmethod
    def load(folder: Path) -> Contract:
        path = folder / FILE_NAME
        if not path.is_file():
            raise ContractError(f"{folder}: expected a {FILE_NAME}, found none; was it made by pirig?")
        return Contract.from_json(path.read_text(), str(path))

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def _camera(entry: dict) -> Camera:
    pose = {key: None if entry[key] is None else tuple(entry[key]) for key in ("eye_m", "target_m")}
    return Camera(**{**entry, **pose})


def differences(ours: Contract, theirs: Contract) -> list[str]:
    """Each field that differs as ``field: ours != theirs``; empty when equal."""
    left, right = dataclasses.asdict(ours), dataclasses.asdict(theirs)
    return [f"{key}: {left[key]!r} != {right[key]!r}" for key in left if left[key] != right[key]]


def require_equal(ours: Contract, theirs: Contract, *, our_name: str, their_name: str) -> None:
    """Raises ContractError that lists every differing field with both values."""
    found = differences(ours, theirs)
    if found:
        raise ContractError(
            f"{our_name} and {their_name} disagree:\n  "
            + "\n  ".join(found)
            + f"\nMake {their_name} again with these settings, or run with the settings that made it."
        )
