"""Planned demos, resumed after a kill, and every way in which a trajectory file can be wrong."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import data_folder
from pirig.contract import ContractError
from pirig.datasets.make import wandering
from pirig.demos.identity import record_of
from pirig.demos.manifest import DemosManifest, episode_files, longest_usual, read_episode, read_tried
from pirig.demos.maniskill.generate import generate
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv, find_solver, plan
from pirig.demos.maniskill.replay import Recorder, open_simulators, replay
from pirig.demos.maniskill.trajectory import from_file, read_index

OVERRIDES = ["experiment=quickstart", "demos.count=2", "camera.resolution_px=32"]


@pytest.fixture(scope="module")
def config():
    return compose(OVERRIDES)


@pytest.fixture(scope="module")
def planned(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "demos"
    generate(contract_of(config), config.task, config.demos, folder)
    return folder


def test_planned_episodes_succeed_and_hold_what_the_contract_says(planned):
    manifest = DemosManifest.load(planned)
    assert manifest.kept == 2 and manifest.tried >= 2 and manifest.scenes == [0, 7]
    for path, length in zip(episode_files(planned), manifest.lengths, strict=True):
        episode = read_episode(path)
        assert episode["success"] and episode["actions"].shape == (length, 7)
        assert np.abs(episode["actions"]).max() <= 1
        assert episode["image/base_0_rgb"].shape == (length, 32, 32, 3)
        assert episode["qpos"].shape == (length, 9) and episode["goal_pos"].shape == (length, 3)


def test_actions_are_those_of_maniskills_converter_that_steps_the_source(config):
    """`replay` sets the source's targets and simulates nothing; ManiSkill's own way simulates it along."""
    from mani_skill.trajectory.utils.actions import conversion

    contract = contract_of(config)
    source, sim = open_simulators(contract, PLANNING_MODE)
    sim.render = False
    targets = plan(find_solver(config.task), RecordingEnv(source), 0, config.task.hold_steps)
    assert targets is not None
    ours = replay(contract, source, sim, targets, 0)
    recorder = Recorder(sim)
    for env in (source, sim.env):
        env.reset(seed=0, options={"reconfigure": True})
    conversion.from_pd_joint_pos(contract.control_mode, targets, source, recorder)
    theirs = recorder.episode(0)
    assert ours is not None and theirs["success"]
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name])
    source.close()
    sim.close()


def test_a_killed_run_goes_on_and_keeps_the_same_seeds(config, planned, tmp_path):
    command = [sys.executable, "-m", "pirig", "demos", *OVERRIDES, f"run.root={tmp_path}", "demos.workers=1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not list(tmp_path.rglob("episode_*.npz")) and time.monotonic() < until:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert children and not list(tmp_path.rglob("manifest.json"))
    until = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]  # no simulator is left behind
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder,) = tmp_path.rglob("manifest.json")
    ours, theirs = DemosManifest.load(folder.parent), DemosManifest.load(planned)
    assert (ours.seeds, ours.tried) == (theirs.seeds, theirs.tried)


def test_a_folder_of_another_contract_is_refused(planned):
    other = compose([*OVERRIDES, "control.control_hz=10"])
    with pytest.raises(ContractError, match="control_hz: 10 != 20"):
        generate(contract_of(other), other.task, other.demos, planned)


def test_a_task_without_a_planner_names_those_that_have_one(config, tmp_path):
    task = compose([*OVERRIDES, "task.solver=solveNothing"]).task
    with pytest.raises(ValueError, match=r"solveNothing.*solvePushCube.*demos\.path"):
        generate(contract_of(config), task, config.demos, tmp_path / "demos")
    assert not (tmp_path / "demos").exists()


def test_whole_demos_need_no_planner(config, planned, tmp_path, monkeypatch):
    """A machine that trains may have a numpy that the planner crashes with."""
    monkeypatch.setattr(np, "__version__", "2.4.6")
    assert generate(contract_of(config), config.task, config.demos, planned).kept == 2
    with pytest.raises(ValueError, match="the motion planner"):
        generate(contract_of(config), config.task, config.demos, tmp_path / "demos")
    assert not (tmp_path / "demos").exists()


def nothing_is_planned(monkeypatch):
    monkeypatch.setattr("pirig.demos.collect._try_seeds", lambda *arguments: None)
    monkeypatch.setattr("pirig.demos.collect._finish", lambda *arguments: None)


def test_demos_of_the_same_scenes_are_taken_over(config, planned, tmp_path, monkeypatch):
    """Another state and fewer of them: nothing is planned again. Another source, another camera: nothing is taken."""
    nothing_is_planned(monkeypatch)
    shutil.copytree(planned, tmp_path / "first" / "demos")
    other = compose([*OVERRIDES, "state=joints_goal", "demos.count=1"])
    contract = contract_of(other)
    assert contract.hash != contract_of(config).hash
    generate(contract, other.task, other.demos, tmp_path / "second" / "demos")
    assert [bool(length) for length in read_tried(tmp_path / "second" / "demos").values()].count(True) == 1
    (taken,) = (tmp_path / "second" / "demos").glob("episode_*.npz")
    assert taken.read_bytes() == (planned / taken.name).read_bytes()
    record = record_of(tmp_path / "first" / "demos")
    record.write_text(record.read_text().replace("motion planner", "somebody"))
    generate(contract, other.task, other.demos, tmp_path / "fourth" / "demos")
    assert not list((tmp_path / "fourth" / "demos").glob("episode_*.npz"))  # another planner, or a person, made them
    elsewhere = compose(["experiment=quickstart", "demos.count=1", "camera.resolution_px=48"])
    generate(contract_of(elsewhere), elsewhere.task, elsewhere.demos, tmp_path / "third" / "demos")
    assert not list((tmp_path / "third" / "demos").glob("episode_*.npz"))


def test_labels_are_recorded_on_request_and_such_demos_do_not_come_from_others(config, planned, tmp_path):
    asked = compose([*OVERRIDES, "demos.count=1", "demos.labels=true"])
    contract = contract_of(asked)
    assert contract == contract_of(config) and data_folder(asked, contract).name.endswith(
        f"-labels-{contract.hash[:8]}"
    )
    shutil.copytree(planned, tmp_path / "plain" / "demos")
    generate(contract, asked.task, asked.demos, tmp_path / "labelled" / "demos")
    (file,) = episode_files(tmp_path / "labelled" / "demos")
    labelled, plain = read_episode(file), read_episode(episode_files(planned)[0])
    for name, values in plain.items():
        np.testing.assert_array_equal(labelled[name], values)
    new = {name: values.shape for name, values in labelled.items() if name not in plain}
    steps = len(plain["actions"])
    assert new["labels/cube_position_m"] == (steps, 3) and new["labels/cube_quat_wxyz"] == (steps, 4)
    np.testing.assert_array_equal(labelled["labels/goal_region_position_m"], plain["goal_pos"])
    assert np.linalg.norm(np.ptp(labelled["labels/cube_position_m"], axis=0)) > 0.05  # it was pushed


def test_a_torn_episode_is_not_taken_over(config, planned, tmp_path, monkeypatch):
    nothing_is_planned(monkeypatch)
    shutil.copytree(planned, tmp_path / "first" / "demos")
    torn = next((tmp_path / "first" / "demos").glob("episode_*.npz"))
    torn.write_bytes(torn.read_bytes()[:500])
    generate(contract_of(config), config.task, config.demos, tmp_path / "second" / "demos")
    assert len(list((tmp_path / "second" / "demos").glob("episode_*.npz"))) == 1
    assert not list((tmp_path / "second" / "demos").glob(".*"))


def test_demos_in_which_the_planner_wandered_are_named_and_leave_the_step_limit_alone():
    lengths = [61, 72, 75, 128] * 6
    usual = DemosManifest(24, 24, list(range(24)), lengths, "test")
    assert wandering(usual, 1.5) is None
    wandered = dataclasses.replace(usual, kept=25, seeds=[*usual.seeds, 31], lengths=[*lengths, 807])
    said = wandering(wandered, 1.5)
    assert "seed 31: 807" in said and "192 steps" in said and "eval.max_steps=1211" in said
    assert longest_usual(wandered.lengths) == 128
    assert longest_usual([*lengths, 300, 807]) == 807  # two of 26: this task has long demos


def test_a_truncated_episode_is_named(tmp_path):
    (tmp_path / "episode_0.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(ValueError, match=r"episode_0\.npz"):
        read_episode(tmp_path / "episode_0.npz")


def write_trajectory(folder, planned, **changes):
    """A ManiSkill trajectory file made of a planned episode's actions."""
    episode = read_episode(episode_files(planned)[0])
    actions = changes.pop("actions", episode["actions"])
    info = {"env_id": "PushCube-v1", "env_kwargs": {"robot_uids": "panda"}, **changes.pop("env_info", {})}
    entry = {"episode_id": 0, "episode_seed": int(episode["seed"]), "control_mode": "pd_ee_delta_pose", "success": True}
    with h5py.File(folder / "trajectory.h5", "w") as file:
        file["traj_0/actions"] = actions
    (folder / "trajectory.json").write_text(json.dumps({"env_info": info, "episodes": [{**entry, **changes}]}))
    return folder / "trajectory.h5"


def test_a_trajectory_without_rgb_is_replayed_with_our_cameras(config, planned, tmp_path):
    path = write_trajectory(tmp_path, planned)
    manifest = from_file(contract_of(config), path, config.demos, tmp_path / "demos")
    assert manifest.kept == 1
    assert read_episode(episode_files(tmp_path / "demos")[0])["image/base_0_rgb"].std() > 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"control_mode": "pd_joint_vel"}, "pd_joint_vel.*pd_ee_delta_pose"),
        ({"env_info": {"env_id": "StackCube-v1"}}, "StackCube-v1.*PushCube-v1"),
        ({"env_info": {"env_kwargs": {"robot_uids": "panda_wristcam"}}}, "panda_wristcam.*panda"),
        ({"actions": np.full((4, 7), np.nan, np.float32)}, "episode 0, frame 0: a NaN or infinite action at step 0"),
    ],
)
def test_a_foreign_trajectory_is_refused_before_anything_is_written(config, planned, tmp_path, changes, words):
    path = write_trajectory(tmp_path, planned, **changes)
    with pytest.raises(ValueError, match=words):
        from_file(contract_of(config), path, config.demos, tmp_path / "demos")
    assert not (tmp_path / "demos").exists()


def test_a_truncated_trajectory_is_named(config, planned, tmp_path):
    path = write_trajectory(tmp_path, planned)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="truncated"):
        read_index(contract_of(config), path)


def test_a_missing_trajectory_is_named(config, tmp_path):
    with pytest.raises(ValueError, match=r"gone\.h5: it is not there"):
        read_index(contract_of(config), tmp_path / "gone.h5")
