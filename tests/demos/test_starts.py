"""Demos that start elsewhere: spread, or pushed off the way; whoever replays them starts where they did."""

from types import SimpleNamespace

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.config.places import Places, data_folder
from pirig.datasets.from_demos import convert
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make import joints_of_demos
from pirig.demos.manifest import DemosManifest, episode_file, episode_files, read_episode
from pirig.demos.maniskill.disturb import CLOSING_STEPS, back_after_held_push, steps_before_grasp, steps_with_grasp
from pirig.demos.maniskill.generate import PlannerSource, generate
from pirig.demos.maniskill.planner import PLANNING_MODE, RecordingEnv
from pirig.demos.starts import HELD_PUSH_DRAWS, LEAST_STEPS, PUSH_DRAWS, PUSH_STEPS, is_disturbed
from pirig.evaluation.workers import WorkerPool
from pirig.gates import simulated
from pirig.sim.maniskill.env import make_env, takes_start_spread
from pirig.sim.maniskill.labels import object_poses

USUAL = ["experiment=quickstart", "task=pick_cube", "demos.count=3", "camera.resolution_px=32"]
SPREAD_RAD, SHARE = 0.1, 0.4
REST_RAD = np.array([0, np.pi / 8, 0, -np.pi * 5 / 8, 0, np.pi * 3 / 4, np.pi / 4])  # ManiSkill's keyframe for a table


@pytest.fixture(scope="module")
def config():
    return compose([*USUAL, f"demos.start_spread_rad={SPREAD_RAD}", f"demos.disturb={SHARE}"])


@pytest.fixture(scope="module")
def planned(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "demos"
    generate(contract_of(config), config.task, config.demos, folder)
    return folder


@pytest.fixture(scope="module")
def dataset(config, planned):
    folder = planned.parent / "lerobot"
    convert(planned, folder, contract_of(config))
    return Dataset(folder)


def test_an_episode_holds_the_state_that_it_starts_from(planned):
    manifest, off_rad = DemosManifest.load(planned), {}
    assert "starts spread by 0.1 rad, 40% of them pushed by 0.15 rad" in manifest.source
    for seed, file in zip(manifest.seeds, episode_files(planned), strict=True):
        episode = read_episode(file)
        start = {name.removeprefix("start/"): part for name, part in episode.items() if name.startswith("start/")}
        assert {"actors/cube", "articulations/panda"} <= set(start)
        np.testing.assert_allclose(start["articulations/panda"][13:22], episode["qpos"][0], atol=1e-5)
        off_rad[seed] = np.abs(episode["qpos"][0][:7] - REST_RAD).max()
    assert any(is_disturbed(seed, SHARE) for seed in manifest.seeds)
    assert all(off > 3 * 0.02 for off in off_rad.values()), off_rad


def test_the_gates_start_where_the_demos_did(dataset):
    assert all(dataset.starts) and set(dataset.start_of_scene) == set(dataset.seeds)
    with WorkerPool(dataset.contract, 1) as pool:
        for episode in range(dataset.episode_count):
            assert simulated.first_frame(dataset, pool, episode) == []
        assert simulated.replay(dataset, None, pool, 3) == []
        dataset.starts = [None] * dataset.episode_count
        assert any("state number" in sentence for sentence in simulated.first_frame(dataset, pool, 0))
        assert simulated.replay(dataset, None, pool, 3)


def test_usual_demos_have_no_start_and_keep_their_names():
    usual, spread = compose(USUAL), compose([*USUAL, "demos.start_spread_rad=0.1", "demos.leave_out_wandering=true"])
    contract = contract_of(usual)
    assert "pick_cube-close-n3-s0-" in str(data_folder(usual, contract))
    assert "pick_cube-close-n3-s0-spread0.1-usual-" in str(data_folder(spread, contract))
    assert PlannerSource(contract, usual.task, usual.demos).name == (
        f"motion planner solvePickCube, last pose held for {usual.task.hold_steps} steps"
    )


@pytest.mark.parametrize("draws", [PUSH_DRAWS, HELD_PUSH_DRAWS])
def test_a_share_of_the_seeds_is_disturbed_and_a_larger_share_holds_a_smaller_one(draws):
    few, many = ({seed for seed in range(1000) if is_disturbed(seed, share, draws)} for share in (0.2, 0.5))
    assert few < many and 150 < len(few) < 250 and 450 < len(many) < 550
    assert not any(is_disturbed(seed, 0.0) for seed in range(1000)) and is_disturbed(7, 1.0)


def test_the_push_comes_before_the_grasp():
    targets = np.zeros((10, 8), np.float32)
    targets[:6, -1], targets[6:, -1] = 1.0, -1.0
    assert steps_before_grasp(targets) == 6
    targets[:, -1] = -1.0  # a closed gripper pushes: nothing is grasped
    assert steps_before_grasp(targets) == 5


def test_a_held_thing_is_pushed_while_it_is_held():
    targets = np.zeros((40, 8), np.float32)
    targets[:6, -1], targets[6:30, -1], targets[30:, -1] = 1.0, -1.0, 1.0
    assert steps_with_grasp(targets) == range(6 + CLOSING_STEPS, 30 - PUSH_STEPS + 1)
    targets[30:, -1] = -1.0  # it is never let go
    assert steps_with_grasp(targets) == range(6 + CLOSING_STEPS, 40 - PUSH_STEPS + 1)
    for fingers in (1.0, -1.0):
        targets[:, -1] = fingers
        assert not steps_with_grasp(targets)


def test_a_demo_that_is_pushed_with_the_cube_in_its_hand_goes_back_and_on(tmp_path):
    """Recorded from where the push left it: the cube is in the air or in the fingers, and the task is solved from there."""
    config = compose(
        [*USUAL, "demos.count=2", "demos.labels=true", "demos.disturb_held=1", "demos.disturb_held_rad=0.1"]
    )
    contract, folder = contract_of(config), tmp_path / "demos"
    assert "-held1x0.1-" in str(data_folder(config, contract))
    generate(contract, config.task, config.demos, folder)
    manifest = DemosManifest.load(folder)
    assert "100% with something in the hand by up to 0.1 rad" in manifest.source
    for file in episode_files(folder):
        episode = read_episode(file)
        off_m = np.linalg.norm(episode["labels/cube_position_m"][0] - episode["tcp_pose"][0, :3])
        assert episode["success"] and off_m < 0.03
        np.testing.assert_allclose(episode["start/articulations/panda"][13:22], episode["qpos"][0], atol=1e-5)
        assert (episode["actions"][:, -1] < 0).all()  # it holds on to it, all the way
    convert(folder, tmp_path / "lerobot", contract)
    dataset = Dataset(tmp_path / "lerobot")
    with WorkerPool(contract, 1) as pool:
        assert simulated.replay(dataset, None, pool, 2) == []


def test_where_nothing_is_held_nothing_can_be_pushed():
    """push_cube's planner closes the gripper at once and keeps it closed."""

    def solver(recorder, **_):
        recorder.actions += [np.float32([0] * 7 + [-1])] * 20

    with pytest.raises(ValueError, match=r"demos\.disturb_held: the plan of scene 7 closes no open gripper"):
        back_after_held_push(solver, lambda: SimpleNamespace(actions=[], success=True), 7, 0, 0.1)


def test_a_demo_of_which_a_push_left_too_little_is_not_kept(config, monkeypatch):
    source = PlannerSource(contract_of(config), config.task, config.demos)
    source.planning = source.sim = None
    monkeypatch.setattr("pirig.demos.maniskill.generate.replay", lambda *args, **_: {"actions": args[3]})
    for steps in (LEAST_STEPS - 1, LEAST_STEPS):
        monkeypatch.setattr(source, "_plan", lambda seed, steps=steps: (np.zeros((steps, 8), np.float32), None))
        assert (source.episode(0) is not None) == (steps == LEAST_STEPS)


def test_wandering_demos_stay_out_and_are_counted(config, planned, tmp_path, monkeypatch):
    manifest = DemosManifest.load(planned)
    longest = manifest.seeds[int(np.argmax(manifest.lengths))]
    monkeypatch.setattr(DemosManifest, "wandering", lambda self: {longest: max(self.lengths)})
    convert(planned, tmp_path / "lerobot", contract_of(config), leave_out_wandering=True)
    dataset = Dataset(tmp_path / "lerobot")
    assert dataset.seeds == [seed for seed in manifest.seeds if seed != longest] and len(dataset.starts) == 2
    assert dataset.provenance["wandering_left_out"] == [longest] and episode_file(planned, longest).is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demos.start_spread_rad=-1"], "demos.start_spread_rad=-1"),
        (["demos.disturb=2"], "demos.disturb=2"),
        (["demos.disturb_held=-0.1"], "demos.disturb_held=-0.1"),
        (["task=libero_object", "demos.disturb_held=0.5"], "demos.disturb_held with the simulator libero"),
        (["demos.path=x.h5", "demos.disturb_held=0.5"], "demos.disturb_held with demos.path=x.h5"),
        (["demos.path=x.h5", "demos.disturb=0.5"], "demos.disturb with demos.path=x.h5: these demos have their starts"),
    ],
)
def test_starts_have_a_domain(words, message):
    with pytest.raises(ConfigError, match=message):
        compose([*USUAL, *words])


def test_a_task_that_has_no_say_in_its_spread_is_spread_too():
    """PegInsertionSide's class has no such parameter; its arm is moved after the reset, the same way for a seed."""
    config = compose(["experiment=quickstart", "task=peg_insertion_side", "demos.start_spread_rad=0.1"])
    contract = contract_of(config)
    assert not takes_start_spread("PegInsertionSide-v1") and takes_start_spread("StackCube-v1")
    env = make_env(contract, control_mode=PLANNING_MODE, render=False, start_spread_rad=0.1)
    plain, spread = RecordingEnv(env), RecordingEnv(env, spread_rad=0.1)
    joints = {}
    for name, recorder in (("plain", plain), ("spread", spread), ("again", spread)):
        recorder.reset(seed=3)
        joints[name] = recorder.start["articulations/panda"][13:22]
    apart = joints["spread"] - joints["plain"]
    assert 0.03 < np.abs(apart[:7]).max() < 0.5 and not apart[7:].any()
    np.testing.assert_array_equal(joints["spread"], joints["again"])
    assert {f"{thing}_position_m" for thing in config.task.turns} <= set(object_poses(env.unwrapped))
    env.close()


def test_where_the_arm_was_is_known_without_the_demos_too(config, planned, dataset):
    places = Places(contract_of(config), planned.parent, planned.parent, planned.parent / "stats.json")
    joints = joints_of_demos(places)
    gone = planned.rename(planned.with_name("gone"))
    try:
        np.testing.assert_array_equal(joints_of_demos(places), joints)
    finally:
        gone.rename(planned)
    assert joints.shape[1] == 9 and len(joints) > 0.2 * dataset.frame_count
    nothing = Places(contract_of(config), planned / "x", planned, planned / "stats.json")
    with pytest.raises(ValueError, match="no demos there; run `pirig demos`"):
        joints_of_demos(nothing)
