"""The environment is the contract's: rates, robot, cameras; and equal seeds give equal scenes."""

import dataclasses
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import sapien
import torch

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.contract import Camera, Contract, TaskScene
from pirig.scenes.moments import Moments
from pirig.sim.door import FurnishedSimulator
from pirig.sim.maniskill import renderer

renderer.configure()
renderer.limit_threads()

from pirig.sim.maniskill.env import SimEnv  # noqa: E402


@pytest.fixture(scope="module")
def contract():
    return contract_of(compose(["experiment=quickstart"]))


@pytest.fixture(scope="module")
def env(contract):
    env = SimEnv(contract)
    yield env
    env.close()


def test_frames_have_the_contracts_size_and_are_not_empty(env):
    env.reset(3)
    frame = env.observe().images["base_0_rgb"]
    assert frame.shape == (128, 128, 3) and frame.dtype == np.uint8
    assert frame.std() > 10


def test_a_picture_is_what_maniskill_observes_and_costs_no_evaluation(env, monkeypatch):
    """`render_cameras` and `get_obs` give the same pixels; only the second asks whether the task is done."""
    env.reset(3)
    asked = []
    monkeypatch.setattr(env.base, "evaluate", lambda: asked.append(1) or {})
    ours = env.observe().images["base_0_rgb"]
    assert not asked
    monkeypatch.setattr(env.base, "_obs_mode", "rgb")
    theirs = env.base.get_obs(unflattened=True)["sensor_data"]["base_camera"]["rgb"][0].numpy()
    assert asked
    np.testing.assert_array_equal(ours, theirs)


def test_equal_seeds_give_equal_scenes_and_others_differ(env):
    env.reset(3)
    first = env.observe()
    env.reset(4)
    other = env.observe()
    env.reset(3)
    again = env.observe()
    np.testing.assert_array_equal(first.images["base_0_rgb"], again.images["base_0_rgb"])
    assert np.abs(first.numbers["goal_pos"] - other.numbers["goal_pos"]).max() > 1e-3


def test_a_reset_frees_the_scene_and_does_not_search_all_that_was_imported(env):
    """ManiSkill collects garbage at each reset: a scene is found again, the modules of torch are not looked through."""
    env.reset(3)
    scene = weakref.ref(env.base.scene)
    for seed in (4, 5):  # the task's actors hold the old scene until the new one has its own
        env.reset(seed)
    assert scene() is None
    assert not any(found is vars(torch) for found in gc.get_objects())  # the frozen ones are not among them


def test_steps_are_counted_and_rates_are_the_contracts(env):
    env.reset(0)
    infos = [env.step(np.zeros(7)) for _ in range(5)]
    assert [info.steps for info in infos] == [1, 2, 3, 4, 5]
    assert not infos[-1].success
    assert (env.base.control_freq, env.base.sim_freq) == (20, 100)


def test_labels_are_the_poses_of_the_tasks_objects(env):
    env.reset(3)
    labels = env.labels()
    assert list(labels) == ["cube_position_m", "cube_quat_wxyz", "goal_region_position_m", "goal_region_quat_wxyz"]
    np.testing.assert_array_equal(labels["cube_position_m"], env.base.obj.pose.p[0])
    np.testing.assert_array_equal(labels["cube_quat_wxyz"], env.base.obj.pose.q[0])
    np.testing.assert_array_equal(labels["goal_region_position_m"], env.sense()["goal_pos"])


def test_what_is_in_sight_is_told_from_the_frame_before(env):
    env.reset(3)
    with_cube, shares = env.observe().images["base_0_rgb"].astype(int), env.in_sight()
    assert list(shares) == list(env.labels()) and shares["goal_region_position_m"] > 0.005
    env.base.obj.set_pose(sapien.Pose([0.0, 5.0, 0.02]))
    assert env.in_sight() == shares  # nothing was rendered since
    without = env.observe().images["base_0_rgb"].astype(int)
    changed = (np.abs(with_cube - without).max(axis=-1) > 20).mean()
    assert shares["cube_quat_wxyz"] == shares["cube_position_m"] == pytest.approx(changed, rel=0.3)
    assert env.in_sight()["cube_position_m"] == 0.0 and env.in_sight()["goal_region_position_m"] > 0.005


def test_a_thing_is_put_where_it_is_told_and_shown_there(env):
    """As scenes near demos need it: after the arm was placed, in a scene whose bodies are another's."""
    assert isinstance(env, FurnishedSimulator)
    env.reset(3)
    env.arrange(4, env.sense()["qpos"] + 0.05, rebuild=False)
    before, goal = env.observe().images["base_0_rgb"].astype(int), env.labels()["goal_region_position_m"]
    turned = np.array([0.0, 0.1, 0.3, np.cos(0.4), 0.0, 0.0, np.sin(0.4)], np.float32)
    env.put({"cube": turned, "no such thing": turned})
    labels, after = env.labels(), env.observe().images["base_0_rgb"].astype(int)
    np.testing.assert_allclose(np.concatenate([labels["cube_position_m"], labels["cube_quat_wxyz"]]), turned, atol=1e-6)
    np.testing.assert_array_equal(labels["goal_region_position_m"], goal)
    assert (np.abs(after - before).max(axis=-1) > 20).mean() > 0.005
    env.reset(3)
    assert env.labels()["cube_position_m"][2] < 0.03


def test_the_arms_first_joint_turns_a_scene_about_its_base(env):
    env.reset(3)
    joints, cube = env.sense()["qpos"], env.labels()["cube_position_m"]
    env.arrange(3, joints, rebuild=False)
    hand, at = env.sense()["tcp_pose"], np.concatenate([cube, env.labels()["cube_quat_wxyz"]])
    moments = Moments(3, joints[None], hand[None], {"cube": at[None]}, {"cube": np.array([False])})
    env.arrange(3, joints + np.eye(9, dtype=np.float32)[0] * 0.1, rebuild=False)
    env.put(moments.poses(0, hand, env.sense()["tcp_pose"]))
    base = np.asarray(env.base.agent.robot.pose.p[0])
    before, after = cube - base, env.labels()["cube_position_m"] - base
    turn = [[np.cos(0.1), -np.sin(0.1), 0.0], [np.sin(0.1), np.cos(0.1), 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_allclose(after, turn @ before, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "objects"),
    [
        ("pick_cube", ["cube", "goal_site"]),
        ("stack_cube", ["cubeA", "cubeB"]),
        ("place_sphere", ["bin", "sphere"]),
        ("peg_insertion_side", ["box_with_hole", "peg"]),
    ],
)
def test_objects_are_found_without_a_table(task, objects):
    env = SimEnv(contract_of(compose([f"task={task}"])), render=False)
    env.reset(3)
    assert list(env.labels()) == [f"{name}_{part}" for name in objects for part in ("position_m", "quat_wxyz")]
    env.close()


def test_the_links_of_an_articulation_have_labels_of_their_own(contract):
    from mani_skill.envs.tasks import PushCubeEnv
    from mani_skill.utils.building.articulations import robel
    from mani_skill.utils.registration import REGISTERED_ENVS, register_env

    @register_env("PushCubeBesideValve-v1", max_episode_steps=50)
    class BesideValve(PushCubeEnv):
        def _load_scene(self, options):
            super()._load_scene(options)
            angles = np.linspace(0, 2 * np.pi, 4)[:3]
            self.valve, _ = robel.build_robel_valve(self.scene, valve_angles=angles, name="valve")

    scene = dataclasses.replace(contract.scene, env_id="PushCubeBesideValve-v1")
    env = SimEnv(dataclasses.replace(contract, scenes=(scene,)), render=False)
    env.reset(0)
    before = env.labels()
    assert [name for name in before if name.startswith("valve") and name.endswith("wxyz")] == [
        "valve_quat_wxyz", "valve_valve_quat_wxyz",
    ]  # fmt: skip
    env.base.valve.set_qpos(np.array([[1.0]]))
    after = env.labels()
    np.testing.assert_array_equal(after["valve_quat_wxyz"], before["valve_quat_wxyz"])
    turn = np.abs(before["valve_valve_quat_wxyz"] @ after["valve_valve_quat_wxyz"])
    assert 2 * np.arccos(turn) == pytest.approx(1.0, abs=1e-3)
    env.close()
    del REGISTERED_ENVS["PushCubeBesideValve-v1"]


def test_a_scene_goes_on_from_a_state_that_was_given_out(env):
    """From the middle of an episode: the same picture, numbers and labels; what moved is relative to the scene's start."""
    env.reset(3)
    for _ in range(4):
        env.step(np.array([1, 0, -1, 0, 0, 0, -1]))
    state, shown, labels = env.state(), env.observe(), env.labels()
    env.reset(4)
    env.reset(3, state)
    again = env.observe()
    for name, values in shown.numbers.items():
        np.testing.assert_allclose(again.numbers[name], values, atol=1e-5, err_msg=name)
    for name, values in labels.items():
        np.testing.assert_allclose(env.labels()[name], values, atol=1e-5, err_msg=name)
    assert np.abs(again.images["base_0_rgb"].astype(int) - shown.images["base_0_rgb"]).mean() < 0.05
    assert env.step(np.zeros(7)).steps == 1
    moved = {name: values.copy() for name, values in state.items()}
    moved["actors/cube"][0] += 0.1
    env.reset(3, moved)
    assert env.step(np.zeros(7)).flags["moved"]


@pytest.mark.parametrize("action", [np.zeros(8), np.full(7, np.nan)])
def test_bad_actions_are_refused(env, action):
    env.reset(0)
    with pytest.raises(ValueError, match="expected 7 finite numbers"):
        env.step(action)


def test_a_camera_that_the_robot_lacks_is_named(contract):
    wrist = Camera("left_wrist_0_rgb", "hand_camera", 64, 64)  # with a place of its own it would be a new one
    with pytest.raises(ValueError, match=r"hand_camera.*base_camera"):
        SimEnv(dataclasses.replace(contract, cameras=(wrist,)))


def test_an_unknown_task_is_named(contract):
    with pytest.raises(ValueError, match="NoSuch-v1"):
        SimEnv(dataclasses.replace(contract, scenes=(TaskScene("NoSuch-v1", ""),)))


def test_the_renderer_probe_sees_an_edge():
    report = renderer.probe()
    assert report.ok, report.error
    assert report.mean_pixel > 0


def test_the_wrist_camera_sees_and_its_mesh_is_gone():
    contract = contract_of(compose(["camera=wrist", "camera.resolution_px=64"]))
    env = SimEnv(contract)
    env.reset(0)
    frames = env.observe().images
    assert frames["left_wrist_0_rgb"].std() > 5
    assert "d415" not in Path(env.base.agent.urdf_path).read_text()
    env.close()


def test_pick_cubes_goal_is_hidden_unless_it_is_shown():
    def frame(*overrides):
        contract = contract_of(compose(["task=pick_cube", "camera=close", *overrides]))
        env = SimEnv(contract)
        env.reset(1)
        env.observe()
        seen = env.observe().images["base_0_rgb"].astype(int)
        env.close()
        return contract, seen

    (hidden_contract, hidden), (shown_contract, shown) = frame(), frame("camera.show_goal=true")
    red, green, blue = np.moveaxis(shown - hidden, -1, 0)
    assert 10 < ((green > 20) & (green > red) & (green > blue)).sum() < 1000  # a green ball
    assert hidden_contract.hash != shown_contract.hash and "goal_shown" not in hidden_contract.to_json()


def test_a_point_is_in_the_picture_where_the_camera_shows_it(env):
    """The cube's middle is in the middle of its pixels, within one; what is behind the camera is nowhere."""
    for scene in (3, 4):
        env.reset(scene)
        env.observe()
        seen = env.base.scene.sensors["base_camera"].get_obs(rgb=False, depth=False, position=False, segmentation=True)
        rows, columns, _ = np.nonzero(np.asarray(seen["segmentation"][0]) == int(env.base.obj.per_scene_id[0]))
        middle = (np.array([columns.mean(), rows.mean()]) + 0.5) / 128 * 2 - 1
        behind = np.array([2.0, 0.0, 1.5])
        found = env.in_picture(np.stack([env.labels()["cube_position_m"], behind]))["base_0_rgb"]
        assert np.abs(found[0] - middle).max() < 2 / 128 and np.isnan(found[1]).all()


PEG = ["task=peg_insertion_side", "camera=insertion", "demos.labels=true"]


def test_points_that_a_task_names_are_labelled_and_in_sight_with_what_they_are_part_of():
    """The peg's head is half a peg from its middle along its axis, the hole's mouth half a box along and off across the box's."""
    contract = contract_of(compose(PEG))
    assert Contract.from_json(contract.to_json()) == contract
    env = SimEnv(contract)
    env.reset(100000)
    assert env.observe().images.keys() == {"base_0_rgb", "base_1_rgb"}
    labels, shown = env.labels(), env.in_sight()
    env.close()
    half_m, radius_m, _ = env.base.peg_half_sizes[0].tolist()
    head_m = labels["peg_head_position_m"] - labels["peg_position_m"]
    np.testing.assert_allclose(head_m, _x_axis(labels["peg_quat_wxyz"]) * half_m, atol=1e-5)
    off_m = labels["hole_position_m"] - labels["box_with_hole_position_m"]
    axis = _x_axis(labels["box_with_hole_quat_wxyz"])
    assert np.isclose(off_m @ axis, -half_m, atol=1e-5)
    assert 1e-3 < np.linalg.norm(off_m + half_m * axis) < (half_m - radius_m) * 0.5**0.5
    for point, thing in (("peg_head", "peg"), ("hole", "box_with_hole")):
        assert shown[f"{point}_position_m"] == shown[f"{thing}_position_m"] > 0.01


def _x_axis(quat_wxyz):
    w, x, y, z = quat_wxyz
    return np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("task.points.hole.pose=hole_pose", r"task\.points\.hole\.pose=hole_pose: no pose of .*box_hole_pose"),
        ("task.points.hole.part_of=box", r"task\.points\.hole\.part_of=box: the scene has box_with_hole, peg"),
        ("+task.points={peg: {pose: peg_head_pose, part_of: peg}}", r"task\.points\.peg: an object has this name"),
    ],
)
def test_a_point_that_the_scene_has_not_is_refused(words, said):
    with pytest.raises(ValueError, match=said):
        SimEnv(contract_of(compose([*PEG, words])), render=False)
