"""The arm goes back up and to where an episode begins: from there a planner knows its way, whatever a policy did before."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from pirig.demos.maniskill.planner import FINGERS, RecordingEnv
from pirig.sim.maniskill.batches import batched

UP_M = 0.12  # clear of what stands on the table in the six tasks
MOST_RAD = 0.04  # of a joint in one step: at 20 Hz the speed of a plan
OPEN, CLOSED = 1.0, -1.0  # what a gripper is told
HALF_OPEN_M = 0.02  # of one finger
SETTLE_STEPS = 5  # at the end, until the arm stands still


def retreat(recorder: RecordingEnv, rest: np.ndarray) -> bool:
    """The hand goes straight up by `UP_M`, then the arm moves to the joints `rest` [7 + 2]; all is recorded.

    The fingers stay open or closed: where a task's demos never move them, a policy must not learn to. False where no straight
    way up is found. An arm that something holds up ends elsewhere; the caller plans from there.
    """
    import sapien
    from mani_skill.examples.motionplanning.panda.motionplanner import PandaArmMotionPlanningSolver

    unwrapped = recorder.unwrapped
    fingers = OPEN if batched(unwrapped.agent.robot.get_qpos())[0, -1] > HALF_OPEN_M else CLOSED
    with contextlib.redirect_stdout(io.StringIO()):
        planner: Any = PandaArmMotionPlanningSolver(
            recorder,
            debug=False,
            vis=False,
            base_pose=unwrapped.agent.robot.pose,
            visualize_target_grasp_pose=False,
            print_env_info=False,
        )
        hand = unwrapped.agent.tcp.pose.sp
        planner.gripper_state = fingers
        went = planner.move_to_pose_with_screw(sapien.Pose(p=hand.p + np.array([0.0, 0.0, UP_M]), q=hand.q))
        planner.close()
    if isinstance(went, int):
        return False
    for target in straight(batched(unwrapped.agent.robot.get_qpos())[0, :-FINGERS], rest[:-FINGERS]):
        recorder.step(np.concatenate([target, [fingers]]))
    return True


def straight(
    begin: np.ndarray, end: np.ndarray, *, most_rad: float = MOST_RAD, settle_steps: int = SETTLE_STEPS
) -> np.ndarray:
    """Joint targets [T, n] in a straight line, no joint faster than `most_rad` a step, the last one held for `settle_steps`."""
    steps = max(1, int(np.ceil(np.abs(end - begin).max() / most_rad)))
    shares = np.minimum(np.arange(1, steps + 1 + settle_steps) / steps, 1.0)
    return (begin + shares[:, None] * (end - begin)).astype(np.float32)
