"""Trajectory files of reinforcement learning: changes of joint angles, or of a place, replayed into the run's control mode."""

import json

import h5py
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.manifest import DemosManifest, episode_files, read_episode
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import DELTA_MODES, open_own, open_source, replay
from pirig.demos.maniskill.trajectory import from_file

pytestmark = pytest.mark.slow  # four simulators
WORDS = ["task=push_cube", "camera=nowrist", "camera.resolution_px=32", "demos.count=1", "demos.workers=1"]


def in_mode(mode: str) -> np.ndarray:
    """Actions [T, A] of an episode of push_cube in this mode, of seed 0."""
    width = DELTA_MODES[mode]
    layout = " ".join([*"abcdefg"[: width - 1], "gripper"])
    config = compose([*WORDS, f"control.action_dim={width}", f"control.layout={layout}", f"control.mode={mode}"])
    contract = contract_of(config)
    planning, sim = open_source(contract, PLANNING_MODE), open_own(contract)
    sim.render = False
    targets = plan(find_solver(config.task), RecordingEnv(planning), 0, config.task.hold_steps)
    assert targets is not None
    episode = replay(contract, planning, sim, targets, 0)
    planning.close()
    sim.close()
    assert episode is not None
    return episode["actions"]


def write_file(path, actions: np.ndarray, mode: str) -> None:
    with h5py.File(path, "w") as file:
        file["traj_0/actions"] = actions
        file["traj_0/success"] = np.arange(len(actions)) == len(actions) - 1
    entry = {"episode_id": 0, "episode_seed": 0, "control_mode": mode, "elapsed_steps": len(actions), "success": True}
    told = {"env_info": {"env_id": "PushCube-v1", "env_kwargs": {"robot_uids": "panda"}}, "source_type": "rl"}
    path.with_suffix(".json").write_text(json.dumps({**told, "episodes": [entry]}))


@pytest.mark.parametrize("mode", DELTA_MODES)
def test_changes_of_joints_or_of_a_place_become_changes_of_the_tools_pose(tmp_path, mode, capfd):
    path = tmp_path / "rl.h5"
    write_file(path, in_mode(mode), mode)
    config = compose(WORDS)
    from_file(contract_of(config), path, config.demos, tmp_path / "demos")
    assert DemosManifest.load(tmp_path / "demos").kept == 1
    episode = read_episode(episode_files(tmp_path / "demos")[0])
    assert episode["actions"].shape[1] == 7 and np.abs(episode["actions"]).max() <= 1 and episode["success"]
    assert "recorded by a policy of reinforcement learning" in capfd.readouterr().out
