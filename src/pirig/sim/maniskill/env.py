"""One ManiSkill environment built from a contract. Stepping never renders; `observe` renders the frame that is wanted."""

from __future__ import annotations

import functools
import gc
import inspect
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.sim.door import Labels, Observation, State, StepInfo, standing_cameras
from pirig.sim.maniskill.batches import batched, one_scene
from pirig.sim.maniskill.cameras import in_picture, raise_if_sensor, settings_of, task_with
from pirig.sim.maniskill.labels import in_sight, object_poses, objects_of, require_points
from pirig.sim.maniskill.states import as_maniskill, state_of
from pirig.sim.maniskill.sub_goals import SubGoals, tool_pose

PLAIN_FLAGS = ("elapsed_steps", "success", "fail", "reconfigure")
START_SPREAD = "robot_init_qpos_noise"  # ManiSkill's name
MAX_STEPS = 100_000  # who drives an episode ends it


def make_env(
    contract: Contract,
    *,
    control_mode: str | None = None,
    render: bool = True,
    backend: str | None = None,
    num_envs: int = 1,
    start_spread_rad: float = 0.0,
) -> Any:
    """The gymnasium environment of this contract, with the observation mode off (rendering is asked for frame by frame).

    `control_mode` (for planning) and `backend` (for many scenes at once) replace the contract's; `start_spread_rad` above 0 the
    task's own spread of the arm's first joints, where the task lets it be chosen (`takes_start_spread`). Raises ValueError naming
    an unknown environment or sensor.
    """
    import gymnasium
    import mani_skill.envs  # noqa: F401  (registers the tasks)

    logging.getLogger("mani_skill ").setLevel(logging.ERROR)  # its name ends so; it warns at every start without CUDA

    from pirig.sim.maniskill.robots import strip_wrist_camera_mesh

    if contract.env_id not in gymnasium.registry:
        raise ValueError(f"env_id {contract.env_id!r}: ManiSkill registers no such task; see conf/task/")
    if contract.robot_uid == "panda_wristcam":
        strip_wrist_camera_mesh()
    cameras = settings_of(contract.cameras) if render else {}
    task = task_with(contract.env_id, contract.cameras) if render else contract.env_id
    settings: dict[str, Any] = {
        "obs_mode": "rgb" if render else "none",
        "reward_mode": _cheapest_reward(contract.env_id),
        "control_mode": control_mode or contract.control_mode,
        "robot_uids": contract.robot_uid,
        "sim_backend": backend or contract.sim_backend,
        "num_envs": num_envs,
        "max_episode_steps": MAX_STEPS,
        "reconfiguration_freq": 1,
        "sim_config": {"sim_freq": contract.sim_hz, "control_freq": contract.control_hz},
        "sensor_configs": {"shader_pack": contract.shader, **cameras},
        **({START_SPREAD: start_spread_rad} if start_spread_rad and takes_start_spread(contract.env_id) else {}),
    }
    _spare_the_garbage_collector()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            env = gymnasium.make(task, **settings)
        except AttributeError as error:
            raise_if_sensor(contract, error)
            raise
    base: Any = env.unwrapped
    base._obs_mode = "none"
    return env


@functools.cache
def _spare_the_garbage_collector() -> None:
    """Puts what was imported out of its sight, before this process has a scene that it must find again.

    ManiSkill collects all garbage at every reset; with torch's 340,000 objects in the way that is six sevenths of a reset.
    """
    gc.collect()
    gc.freeze()


def takes_start_spread(env_id: str) -> bool:
    """Whether the task's class has a parameter for it: five of the six tasks do, PegInsertionSide does not."""
    import mani_skill.envs  # noqa: F401  (registers the tasks)
    from mani_skill.utils.registration import REGISTERED_ENVS

    return START_SPREAD in inspect.signature(REGISTERED_ENVS[env_id].cls.__init__).parameters


def _cheapest_reward(env_id: str) -> str:
    """Nobody reads the reward, and a dense one is a tenth of a step's cost; few tasks cannot go without."""
    from mani_skill.utils.registration import REGISTERED_ENVS

    modes = REGISTERED_ENVS[env_id].cls.SUPPORTED_REWARD_MODES
    return "none" if "none" in modes else modes[0]


class SimEnv:
    """ManiSkill's `Simulator`: a scene is the seed of a reset. `render=False` opens it without cameras."""

    def __init__(self, contract: Contract, *, render: bool = True):
        self.contract, self.render, self.points = contract, render, contract.scene.points
        self.env = make_env(contract, render=render)
        self.base: Any = self.env.unwrapped
        require_points(self.base, self.points)
        self.base.reconfiguration_freq = 0  # `reset` says when
        self.steps = 0

    def reset(self, scene: int, state: State | None = None) -> None:
        """Rebuilds the scene, as recording does: a reused scene is not bit-equal to a fresh one."""
        self.env.reset(seed=scene, options={"reconfigure": True})
        self.sub_goals = SubGoals(self.contract.env_id, self.base)
        self.steps = 0
        if state is not None:
            self.env.reset(seed=scene, options={"reset_to_env_states": {"env_states": as_maniskill([state])}})

    def arrange(self, scene: int, joints: np.ndarray, *, rebuild: bool) -> None:
        import torch

        self.env.reset(seed=scene, options={"reconfigure": rebuild})
        self.sub_goals = SubGoals(self.contract.env_id, self.base)
        self.steps = 0
        robot = self.base.agent.robot
        limits = batched(robot.get_qlimits())[0]
        within = np.clip(joints, limits[:, 0], limits[:, 1]).astype(np.float32)
        robot.set_qpos(torch.as_tensor(within)[None])
        robot.set_qvel(torch.zeros(1, len(within)))

    def put(self, things: Mapping[str, np.ndarray]) -> None:
        """See `FurnishedSimulator`."""
        import torch
        from mani_skill.utils.structs import Actor, Pose

        known = dict(objects_of(self.base))
        for name, pose in things.items():
            if isinstance(known.get(name), Actor):
                known[name].set_pose(Pose.create(torch.as_tensor(pose)[None]))

    def step(self, action: np.ndarray) -> StepInfo:
        action = np.asarray(action, np.float32)
        if action.shape != (self.contract.action_dim,) or not np.isfinite(action).all():
            raise ValueError(f"action {action}: expected {self.contract.action_dim} finite numbers")
        _, _, _, _, info = self.env.step(action)
        self.steps += 1
        flags = {**flags_of(info), **self.sub_goals.flags(info)}
        scalars = {name: bool(values[0]) for name, values in flags.items()}
        off_m = self.sub_goals.hand_off_m()
        across_above = None if off_m is None else (float(off_m[0, 0]), float(off_m[0, 1]))
        return StepInfo(success_of(info), scalars, self.steps, across_above)

    def observe(self) -> Observation:
        numbers = self.sense()
        return Observation(one_scene(render_cameras(self.base, self.contract), 0), numbers)

    def sense(self) -> dict[str, np.ndarray]:
        """qpos f32 [9] (rad, m), tcp_pose f32 [7] (m, quat_wxyz), goal_pos f32 [3] (m) where the task has one."""
        return one_scene(proprioception(self.base), 0)

    def labels(self) -> Labels:
        return one_scene(object_poses(self.base, self.points), 0)

    def in_sight(self) -> dict[str, float]:
        return in_sight(self.base, [camera.sensor for camera in standing_cameras(self.contract)], self.points)

    def in_picture(self, points_m: np.ndarray) -> dict[str, np.ndarray]:
        return {camera.role: in_picture(self.base, camera, points_m) for camera in standing_cameras(self.contract)}

    def state(self) -> State:
        return state_of(self.base)

    def prompt(self) -> str:
        return self.contract.prompt

    def close(self) -> None:
        self.env.close()


def success_of(info: dict[str, Any]) -> bool:
    """Of an environment with one scene."""
    return bool(batched(info["success"]).any())


def flags_of(info: dict[str, Any]) -> dict[str, np.ndarray]:
    """The boolean entries of a step's info, bool [num_envs] each: the task's own sub-goals."""
    arrays = {key: batched(value) for key, value in info.items() if key not in PLAIN_FLAGS}
    return {key: array.reshape(-1) for key, array in arrays.items() if array.dtype == bool and array.ndim <= 1}


def proprioception(base: Any) -> dict[str, np.ndarray]:
    """qpos f32 [num_envs, 9], tcp_pose f32 [num_envs, 7], goal_pos f32 [num_envs, 3]; see `SimEnv.sense`."""
    agent = base.agent
    numbers = {"qpos": batched(agent.robot.get_qpos())}
    tool = tool_pose(base)
    if tool is not None:
        numbers["tcp_pose"] = batched(tool.raw_pose)
    goal = _goal_position(base)
    if goal is not None:
        numbers["goal_pos"] = goal
    return {name: array.astype(np.float32) for name, array in numbers.items()}


def _goal_position(base: Any) -> np.ndarray | None:
    """The position [num_envs, 3] (m, world) of the goal site or region, None for a task that has neither."""
    for name in ("goal_site", "goal_region"):
        site = getattr(base, name, None)
        if site is not None:
            return batched(site.pose.p)
    return None


def render_cameras(base: Any, contract: Contract) -> dict[str, np.ndarray]:
    """Renders now: u8 [num_envs, H, W, 3] by role. Hidden goal sites stay hidden unless contract.goal_shown.

    `get_obs` would evaluate the task and read the robot once more.
    """
    hidden = base._hidden_objects
    if contract.goal_shown:
        base._hidden_objects = []
        for site in hidden:
            site.show_visual()
    try:
        images = base._get_obs_sensor_data()
    finally:
        base._hidden_objects = hidden
    return {camera.role: batched(images[camera.sensor]["rgb"]).astype(np.uint8) for camera in contract.cameras}
