"""One LIBERO environment built from a contract. Stepping never renders; `observe` renders the frame that is wanted."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pirig.contract import Contract
from pirig.sim.door import Labels, Observation, State, StepInfo, standing_cameras
from pirig.sim.libero.cameras import in_picture, in_sight, place_cameras
from pirig.sim.libero.fixtures import Fixtures
from pirig.sim.libero.numbers import axis_angle, turned
from pirig.sim.libero.places import place_of
from pirig.sim.libero.settings import require_versions, settings_of
from pirig.sim.libero.sight import Sight
from pirig.sim.libero.states import set_state, state_of
from pirig.sim.libero.sub_goals import SubGoals

AT_REST = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0)  # the hand open, as openpi waits
FINGERS = 2
MAX_STEPS = 1_000_000  # who drives an episode ends it


class LiberoEnv:
    """LIBERO's `Simulator`. A scene is a task of the contract and an initial state (`places.py`)."""

    def __init__(self, contract: Contract):
        self.contract, self.settings = contract, settings_of(contract)
        require_versions(self.settings)
        self.task, self.env = -1, None
        self.steps = 0

    def reset(self, scene: int, state: State | None = None) -> None:
        """Another task than the scene's before is opened, which takes ten seconds.

        The model is compiled once a task, not at each reset as LIBERO does: a quarter of the time, and the same bits where both
        were compared (docs/libero.md).
        """
        place = place_of(scene, len(self.contract.scenes))
        self._enter(place.task)
        assert self.env is not None
        np.random.seed(place.seed if place.state is None else self.settings.env_seed)
        gripper = self.base.robots[0].gripper
        gripper.current_action = np.zeros_like(
            gripper.current_action
        )  # all else but this and the fixtures a reset sets itself
        self.fixtures.unplace(self.base.sim.model)
        self.env.reset()
        if place.state is not None:
            self.env.set_init_state(self.initial[place.state])
        self.steps = 0
        for _ in range(self.settings.wait_steps):
            self.advance(np.array(AT_REST))
        if state is not None:
            set_state(self.base, self.fixtures, state)
        self.sub_goals: SubGoals = SubGoals(self.base)

    def arrange(self, scene: int, joints: np.ndarray, *, rebuild: bool) -> None:
        """See `ArrangedSimulator`; a task's bodies are always the same. Of `joints` the second finger's is that of the first."""
        self.reset(scene)
        sim, robot = self.base.sim, self.base.robots[0]
        sim.data.qpos[robot._ref_joint_pos_indexes] = joints[:-FINGERS]
        sim.data.qpos[robot._ref_gripper_joint_pos_indexes] = joints[-FINGERS], -joints[-FINGERS]
        sim.data.qvel[robot._ref_joint_vel_indexes] = 0.0
        sim.forward()

    def in_sight(self) -> dict[str, float]:
        shares = [in_sight(self.base, camera) for camera in standing_cameras(self.contract)]
        best = {name: max(share[name] for share in shares) for name in shares[0]}
        return {f"{name}_{label}": share for name, share in best.items() for label in ("position_m", "quat_wxyz")}

    def in_picture(self, points_m: np.ndarray) -> dict[str, np.ndarray]:
        cameras, turn_deg = standing_cameras(self.contract), self.settings.turn_deg
        return {camera.role: in_picture(self.base, camera, points_m, turn_deg) for camera in cameras}

    def _enter(self, task: int) -> None:
        if task == self.task:
            return
        self.close()
        suite, name = _suite_and_name(self.contract.scenes[task].env_id)
        self.env = _opened(suite, name, self.contract)
        atexit.unregister(self.close)
        atexit.register(self.close)  # before what robosuite registered when it was imported: EGL itself ends there
        self.initial = _initial_states(suite, name)
        self.fixtures, self.sight = Fixtures(self.base), Sight(self.base)
        self.advance = self._advance()
        self.task = task

    def _advance(self) -> Callable[[np.ndarray], bool]:
        """What a control step is: with another MuJoCo than the one that both were compared with, robosuite's own."""
        from pirig.sim.libero.stepping import COMPARED, Stepper

        env = self.env
        assert env is not None
        return Stepper(self.base).step if self.settings.mujoco == COMPARED else lambda action: bool(env.step(action)[2])

    @property
    def base(self) -> Any:
        """robosuite's environment."""
        assert self.env is not None, "reset comes first"
        return self.env.env

    def step(self, action: np.ndarray) -> StepInfo:
        action = np.asarray(action, np.float32)
        if action.shape != (self.contract.action_dim,) or not np.isfinite(action).all():
            raise ValueError(f"action {action}: expected {self.contract.action_dim} finite numbers")
        done = self.advance(action.astype(np.float64))
        self.steps += 1
        return StepInfo(done, self.sub_goals.flags(), self.steps, self.sub_goals.hand_off_m())

    def observe(self) -> Observation:
        self._take_context()
        images = {
            camera.role: turned(
                self.sight.picture(camera.sensor, camera.width_px, camera.height_px), self.settings.turn_deg
            )
            for camera in self.contract.cameras
        }
        return Observation(images, self.sense())

    def sense(self) -> dict[str, np.ndarray]:
        """eef_pos f32 [3] (m, world), eef_axis_angle f32 [3] (rad), fingers f32 [2] (m), qpos f32 [9] (rad, m)."""
        sim, robot = self.base.sim, self.base.robots[0]
        quat_wxyz = np.asarray(sim.data.get_body_xquat(robot.robot_model.eef_name))
        fingers = sim.data.qpos[robot._ref_gripper_joint_pos_indexes]
        numbers = {
            "eef_pos": sim.data.site_xpos[robot.eef_site_id],
            "eef_axis_angle": axis_angle(np.roll(quat_wxyz, -1)),
            "fingers": fingers,
            "qpos": np.concatenate([sim.data.qpos[robot._ref_joint_pos_indexes], fingers]),
        }
        return {name: np.array(values, np.float32) for name, values in numbers.items()}

    def labels(self) -> Labels:
        data, poses = self.base.sim.data, {}
        for name, body in self.base.obj_body_id.items():
            poses[f"{name}_position_m"] = np.array(data.body_xpos[body], np.float32)
            poses[f"{name}_quat_wxyz"] = np.array(data.body_xquat[body], np.float32)
        return dict(sorted(poses.items()))

    def state(self) -> State:
        """See `states.state_of`."""
        return state_of(self.base, self.fixtures)

    def prompt(self) -> str:
        return self.contract.scenes[max(self.task, 0)].prompt

    def _take_context(self) -> None:
        """OpenGL's may be another simulator's of this process: drawn there a picture is noise, freed there that one's is lost."""
        self.base.sim._render_context_offscreen.gl_ctx.make_current()

    def close(self) -> None:
        if self.env is not None:
            self._take_context()
            for held in ("sight", "advance"):  # they hold what ends here; neither is there where opening it failed
                vars(self).pop(held, None)
            self.env.close()
        self.task, self.env = -1, None
        gc.collect()


def _suite_and_name(env_id: str) -> tuple[str, str]:
    suite, _, name = env_id.partition("/")
    if not name:
        raise ValueError(
            f"env_id {env_id!r}: expected a suite and a task of it; choose task=libero_spatial or another."
        )
    return suite, name


def _opened(suite: str, name: str, contract: Contract) -> Any:
    """Raises ValueError naming a task or a camera that LIBERO does not have."""
    with _quiet():
        from libero.libero import get_libero_path
        from libero.libero.envs import OffScreenRenderEnv
    file = Path(get_libero_path("bddl_files")) / suite / f"{name}.bddl"
    if not file.is_file():
        raise ValueError(f"task.env_id={suite}: LIBERO has no task {name!r} there; see conf/task/libero_*.yaml.")
    with _quiet():
        env = OffScreenRenderEnv(
            bddl_file_name=str(file),
            use_camera_obs=False,  # robosuite would render at every step
            control_freq=contract.control_hz,
            horizon=MAX_STEPS,
        )
    env.env.hard_reset = False
    try:
        place_cameras(env.env, contract.cameras)
    except ValueError:
        env.close()
        raise
    return env


def _initial_states(suite: str, name: str) -> np.ndarray:
    """f64 [50, 1 + nq + nv]."""
    from libero.libero import get_libero_path

    with np.load(Path(get_libero_path("init_states")) / suite / f"{name}.pruned_init.npz") as held:
        return held["states"]


@contextlib.contextmanager
def _quiet() -> Any:
    """Without robosuite's warnings about a private macro file."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield
