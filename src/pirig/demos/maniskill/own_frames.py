"""The frames that a trajectory file holds itself, taken where they are what the contract's simulator would show.

What the file says of itself is asked first (`why_not`), then its first frame is compared with a fresh one (`unlike`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pirig.config.state_entries import state_entry
from pirig.contract import Camera, Contract
from pirig.demos.manifest import IMAGE, Pieces
from pirig.demos.maniskill import held_frames
from pirig.demos.maniskill.replay import in_range
from pirig.foreign.faults import refused
from pirig.sim.door import SAME_PIXELS
from pirig.sim.maniskill.batches import batched
from pirig.sim.maniskill.env import SimEnv

Json = dict[str, Any]
CPU = ("auto", "cpu", "physx_cpu")  # ManiSkill's names of one backend; "auto" where there is one scene
USUAL_HZ = {"sim_freq": 100, "control_freq": 20}  # ManiSkill's own
USUAL_SHADER = "minimal"  # likewise
NUMBERS = {"qpos": "agent/qpos", "tcp_pose": "extra/tcp_pose", "goal_pos": "extra/goal_pos"}  # arrays below obs/
SAME_SCENE = 1e-3  # m, rad, or a unit of a quaternion or a camera's matrix


def why_not(
    contract: Contract, env_kwargs: Mapping[str, Any], control_mode: str, trajectory: Any, *, labels: bool
) -> str:
    """Why the frames of an open h5 group cannot be taken, as far as the file says; "" where they may be."""
    if labels:
        return "its frames come without the labels that demos.labels asks for"
    if control_mode != contract.control_mode:
        return f"its actions are in {control_mode}, this run's in {contract.control_mode}"
    if contract.goal_shown:
        return "its cameras hide the goal, which camera.show_goal shows"
    return _settings(contract, env_kwargs) or _arrays(contract, trajectory)


def rates_of(env_kwargs: Mapping[str, Any]) -> Json:
    """sim_freq and control_freq (Hz): ManiSkill 3's sim_config, ManiSkill 2's own keys, else the usual ones."""
    told = {name: env_kwargs[name] for name in USUAL_HZ if env_kwargs.get(name) is not None}
    return {**USUAL_HZ, **told, **_entries(env_kwargs.get("sim_config"))}


def _entries(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _settings(contract: Contract, env_kwargs: Mapping[str, Any]) -> str:
    rates, sensors = rates_of(env_kwargs), _entries(env_kwargs.get("sensor_configs"))
    own = {camera.sensor: _entries(sensors.get(camera.sensor)) for camera in contract.cameras}
    general = sensors.get("shader_pack", env_kwargs.get("shader_dir", USUAL_SHADER))
    shaders = {str(settings.get("shader_pack", general)) for settings in own.values()}
    backend = env_kwargs.get("sim_backend", "auto")
    wrong = {
        "control rate": (rates["control_freq"], contract.control_hz),
        "simulation rate": (rates["sim_freq"], contract.sim_hz),
        "backend": (contract.sim_backend if backend in CPU else backend, contract.sim_backend),
        "shader": (", ".join(sorted(shaders)), contract.shader),
    }
    return "; ".join(f"its {name} is {its}, this run's {ours}" for name, (its, ours) in wrong.items() if its != ours)


def _arrays(contract: Contract, trajectory: Any) -> str:
    steps = len(trajectory["actions"])
    for camera in contract.cameras:
        pictures = held_frames.held(trajectory, camera.sensor)
        if pictures is None:
            return f"it holds no frames of {camera.sensor}"
        if reason := held_frames.why_not(pictures, steps + 1, camera.height_px, camera.width_px):
            return f"its frames of {camera.sensor} {reason}"
    arrays = {state_entry(entry).array for entry in contract.state}
    missing = [name for name in sorted(arrays) if f"obs/{NUMBERS.get(name, name)}" not in trajectory]
    if missing:
        return f"it holds no {', '.join(missing)}, which the state needs"
    for name in sorted(arrays):
        held = trajectory[f"obs/{NUMBERS.get(name, name)}"]
        if not hasattr(held, "shape") or held.shape[:1] != (steps + 1,):
            return f"its {name} is not an array of {steps + 1} rows"
    return "" if "success" in trajectory else "it does not say which step succeeded"


def taken(sim: SimEnv, trajectory: Any, seed: int) -> dict[str, Any] | None:
    """The episode as `replay` gives it, None where its last step is no success. Frame t is what was seen before action t.

    Its pictures are read from the file as they are written (`manifest.Pieces`), which raises ForeignFileError where one is not
    what its type says.
    """
    actions = in_range(sim, np.asarray(trajectory["actions"], np.float32))
    if not trajectory["success"][-1]:
        return None
    images: dict[str, Any] = {
        f"{IMAGE}{camera.role}": _pictures(trajectory, camera, len(actions)) for camera in sim.contract.cameras
    }
    return {**_numbers(trajectory), **images, "actions": actions, "seed": np.int64(seed), "success": np.bool_(True)}


def _pictures(trajectory: Any, camera: Camera, rows: int) -> Pieces:
    array = held_frames.held(trajectory, camera.sensor)
    file, name = trajectory.file.filename, array.name

    def failed(error: ValueError) -> Exception:
        return refused(file, f"{name}: {error}", "record it again, or remove the episode", expected="whole pictures")

    return held_frames.pieces(array, rows, failed)


def _numbers(trajectory: Any) -> dict[str, np.ndarray]:
    held = {name: trajectory[f"obs/{path}"] for name, path in NUMBERS.items() if f"obs/{path}" in trajectory}
    return {name: np.asarray(values[:-1], np.float32) for name, values in held.items()}


def unlike(sim: SimEnv, trajectory: Any, seed: int) -> str:
    """How the first frame differs from what the simulator shows after a reset to that seed; "" where it does not.

    The numbers and the objects' places tell another scene, which a few pixels would not; the pixels tell shader and renderer.
    """
    sim.reset(seed)
    shown, places = sim.observe(), sim.state()
    pairs = {name: (values[0], shown.numbers[name]) for name, values in _numbers(trajectory).items()}
    for name, place in places.items():
        if (held := trajectory.get(f"env_states/{name}")) is not None:
            pairs[name] = held[0][:7], place[:7]
    for camera in sim.contract.cameras:
        pairs |= _optics(sim.base, trajectory, camera.sensor)
    for name, (its, ours) in pairs.items():
        if its.shape != ours.shape or _apart(name, its, ours) > SAME_SCENE:
            return f"its first {name} is not this simulator's after a reset with seed {seed}"
    for camera in sim.contract.cameras:
        try:
            first = held_frames.taken(held_frames.held(trajectory, camera.sensor), 1)[0]
        except ValueError as error:
            return f"its pictures of {camera.sensor}: {error}"
        apart = np.abs(first.astype(np.float32) - shown.images[camera.role]).mean()
        if apart > SAME_PIXELS:
            return f"its first frame of {camera.sensor} is {apart:.0f} of 255 off this simulator's on average"
    return ""


def _apart(name: str, its: np.ndarray, ours: np.ndarray) -> float:
    """Without the sign of a quaternion, which means nothing: of poses, the last four of seven."""
    its, ours = np.asarray(its, np.float64), np.asarray(ours, np.float64)
    if (its.shape == (7,) and "/" in name) or name == "tcp_pose":
        its, ours = (np.concatenate([pose[:3], np.abs(pose[3:])]) for pose in (its, ours))
    return float(np.abs(its - ours).max())


def _optics(base: Any, trajectory: Any, sensor: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Where the camera stands and how wide it sees, of the first frame; {} where the file does not say."""
    held, ours = trajectory.get(f"obs/sensor_param/{sensor}"), base.get_sensor_params()[sensor]
    return {f"{sensor} {name}": (held[name][0], batched(ours[name])[0]) for name in held or () if name in ours}
