"""What data, policy and simulator must agree on, as one value that travels with all three.

The contract is made once from the resolved config, written into the dataset, copied into the checkpoint, and every
later stage rebuilds its environment and its transforms from that copy. `require_equal` is the only gate.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTRACT_VERSION = 1
FILE_NAME = "contract.json"
PAD = "pad"  # how images were resized before that was a choice
MANISKILL, RECORDED = "maniskill", "recorded"  # simulators; recorded: none, the data came from a real arm


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
class Point:
    """A label beside those of a task's objects, under `name`: the pose that the task's class has as `pose`, such as where a hole
    is. It is in sight where the object `part_of` is."""

    name: str
    pose: str
    part_of: str


@dataclass(frozen=True)
class TaskScene:
    """What one task brings: the simulator's name of it ("" where there is none) and the sentence that the policy is told.

    `task` is its name in conf/task; "" in a contract of one task, which needs none. In a mix that holds recorded data sets it is
    "SOURCE", or where one of them has several sentences "SOURCE/SENTENCE"; `cameras`: that source's own, where they are not the
    contract's; `norm_stats`: "own" or "joint", whose statistics its numbers are normalised by ("": the policy's card says it).
    `points`: what is labelled beside its objects.
    """

    env_id: str
    prompt: str
    task: str = ""
    cameras: tuple[Camera, ...] = ()
    norm_stats: str = ""
    points: tuple[Point, ...] = ()


def source_of(task: str) -> str:
    """The source of a mix that a scene's name says."""
    return task.partition("/")[0]


@dataclass(frozen=True)
class Contract:
    """The agreement. Rates in Hz, sizes in pixels; `action_dim` and `state_dim` count unpadded numbers.

    `state` names the observation entries that are concatenated, in order (for example ``("qpos8", "goal_pos")``).
    `resize` names how a camera's frame becomes `image_px` wide and high (`transforms/images.py`).
    `gripper_open` is the value of the last action number that opens the gripper. `goal_shown`: the cameras see the goal
    site that ManiSkill hides from them. `angle_center_rad`: of a real arm, per joint; its angles, in state and action, are
    taken to within pi of it, so that a joint's position has one number. `scenes`: one, or in a mix one for each task, told
    apart by their names; everything else is shared by them. `simulator` names an implementation of `pirig.sim`. Where there
    is none it is "recorded", `env_id`, `sim_backend` and `shader` are empty, `sim_hz` is 0 and a camera's `sensor` is its
    column in the recorded data set. `settings`: what else a simulator's episodes depend on, under its own names, sorted by them.
    """

    scenes: tuple[TaskScene, ...]
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
    image_px: int
    fps: int
    goal_shown: bool = False
    angle_center_rad: tuple[float, ...] = ()
    resize: str = PAD
    simulator: str = MANISKILL
    settings: tuple[tuple[str, Any], ...] = ()
    version: int = CONTRACT_VERSION

    @property
    def scene(self) -> TaskScene:
        """The scene of a contract of one task. Raises ContractError for a mix."""
        if len(self.scenes) != 1:
            names = ", ".join(scene.task for scene in self.scenes)
            raise ContractError(
                f"a contract of {len(self.scenes)} tasks ({names}) where one is expected; name the task"
            )
        return self.scenes[0]

    @property
    def env_id(self) -> str:
        return self.scene.env_id

    @property
    def prompt(self) -> str:
        return self.scene.prompt

    @property
    def envs(self) -> str:
        """The simulator's names of all its tasks, for people."""
        return ", ".join(dict.fromkeys(scene.env_id for scene in self.scenes if scene.env_id)) or "no simulator"

    @property
    def described(self) -> str:
        """In a line, for people."""
        cameras = ", ".join(f"{camera.role} {camera.width_px}x{camera.height_px}" for camera in self.cameras)
        prompts = ", ".join(repr(scene.prompt) for scene in self.scenes)
        return (
            f"{self.envs}, {self.robot_uid}, {self.control_mode} at {self.control_hz} Hz, cameras {cameras}, state "
            f"{' + '.join(self.state)}, {prompts}"
        )

    @property
    def sources(self) -> list[str]:
        """The names of a mix's sources."""
        return list(dict.fromkeys(source_of(scene.task) for scene in self.scenes))

    def of_task(self, task: str) -> Contract:
        """The contract of one task, or of one source of a mix with all its sentences, as it alone would have it."""
        exact = [scene for scene in self.scenes if scene.task == task]
        chosen = exact or [scene for scene in self.scenes if scene.task.startswith(f"{task}/")]
        if not chosen or len(exact) > 1:
            names = ", ".join(scene.task for scene in self.scenes)
            raise ContractError(f"no task {task!r} in this contract; it has {names}")
        scenes = tuple(
            dataclasses.replace(scene, task=scene.task.removeprefix(task).removeprefix("/"), cameras=(), norm_stats="")
            for scene in chosen
        )
        return dataclasses.replace(self, scenes=scenes, cameras=chosen[0].cameras or self.cameras)

    def to_json(self) -> str:
        """Fields that a contract of one simulated task does not need are left out, so that older ones keep their hash."""
        fields = _fields(self)
        if not self.goal_shown:
            del fields["goal_shown"]
        if not self.angle_center_rad:
            del fields["angle_center_rad"]
        if self.resize == PAD:
            del fields["resize"]
        if self.simulator == _usual_simulator(self.scenes):
            del fields["simulator"]
        if not self.settings:
            del fields["settings"]
        return json.dumps(fields, indent=2, sort_keys=True)

    @staticmethod
    def from_json(text: str, source: str = "contract") -> Contract:
        try:
            raw = json.loads(text)
            cameras = tuple(_camera(entry) for entry in raw.pop("cameras"))
            state, center = tuple(raw.pop("state")), tuple(raw.pop("angle_center_rad", ()))
            settings = tuple((str(name), value) for name, value in raw.pop("settings", ()))
            scenes = tuple(_scene(scene) for scene in raw.pop("scenes", ()))
            scenes = scenes or (TaskScene(raw.pop("env_id"), raw.pop("prompt"), points=_points(raw.pop("points", ()))),)
            raw.setdefault("simulator", _usual_simulator(scenes))
            return Contract(
                scenes=scenes, cameras=cameras, state=state, angle_center_rad=center, settings=settings, **raw
            )
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


def _fields(contract: Contract) -> dict[str, Any]:
    """All fields as plain values; a single nameless scene as env_id and prompt."""
    fields = dataclasses.asdict(contract)
    if len(contract.scenes) == 1 and not contract.scene.task:
        scene = fields.pop("scenes")[0]
        fields |= {"env_id": scene["env_id"], "prompt": scene["prompt"]}
        fields |= {"points": scene["points"]} if scene["points"] else {}
    for scene in fields.get("scenes", ()):  # younger than contracts that lie there
        for name in ("cameras", "norm_stats", "points"):
            if not scene[name]:
                del scene[name]
    return fields


def _scene(entry: dict) -> TaskScene:
    cameras = tuple(_camera(camera) for camera in entry.get("cameras", ()))
    return TaskScene(**{**entry, "cameras": cameras, "points": _points(entry.get("points", ()))})


def _points(entries: Iterable[dict]) -> tuple[Point, ...]:
    return tuple(Point(**entry) for entry in entries)


def _usual_simulator(scenes: tuple[TaskScene, ...]) -> str:
    return MANISKILL if all(scene.env_id for scene in scenes) else RECORDED


def _camera(entry: dict) -> Camera:
    pose = {key: None if entry[key] is None else tuple(entry[key]) for key in ("eye_m", "target_m")}
    return Camera(**{**entry, **pose})


def differences(ours: Contract, theirs: Contract) -> list[str]:
    """Each field that differs as ``field: ours != theirs``; empty when equal."""
    left, right = _fields(ours), _fields(theirs)
    return [
        f"{key}: {left.get(key)!r} != {right.get(key)!r}"
        for key in dict.fromkeys([*left, *right])
        if left.get(key) != right.get(key)
    ]


def require_equal(ours: Contract, theirs: Contract, *, our_name: str, their_name: str) -> None:
    """Raises ContractError that lists every differing field with both values."""
    unequal = differences(ours, theirs)
    if unequal:
        raise ContractError(
            f"{our_name} and {their_name} disagree:\n  "
            + "\n  ".join(unequal)
            + f"\nMake {their_name} again with these settings, or run with the settings that made it."
        )
