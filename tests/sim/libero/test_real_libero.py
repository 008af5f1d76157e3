"""LIBERO itself (`make test-libero`): what a scene is, that it is the same each time, what it shows and when it succeeds."""

import dataclasses

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.sim.door import open_simulator

pytestmark = pytest.mark.libero
SMALL = ["camera.resolution_px=48"]


@pytest.fixture(scope="module")
def sim():
    opened = open_simulator(contract_of(compose(["task=libero_object", *SMALL])))
    yield opened
    opened.close()


def moved(sim, scene: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    sim.reset(scene)
    first = sim.observe().images
    for step in range(12):
        sim.step(np.array([0.5, -0.3, -0.8, 0, 0.1 * (step % 3), 0.2, -1], np.float32))
    return first, sim.observe().images, sim.state()["mujoco"]


def test_a_scene_is_bit_for_bit_the_same_whatever_was_shown_before(sim):
    first, last, state = moved(sim, 100_000)
    moved(sim, 100_010)  # the same task, another initial state
    again_first, again_last, again_state = moved(sim, 100_000)
    np.testing.assert_array_equal(state, again_state)
    for role in first:
        np.testing.assert_array_equal(first[role], again_first[role])
        np.testing.assert_array_equal(last[role], again_last[role])
        assert np.abs(first[role].astype(float) - last[role]).mean() > 1


def test_a_scene_goes_on_from_its_state(sim):
    """The gripper's command and what the hand holds are part of it: MuJoCo's numbers alone let the hand open."""
    sim.reset(100_000)
    act = np.array([0.2, -0.1, -0.8, 0.3, 0, 0, 1], np.float32)
    for _ in range(8):
        sim.step(act)
    state = sim.state()
    still = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
    for _ in range(12):
        sim.step(still)
    there = sim.sense()
    sim.reset(100_000, state)
    for _ in range(12):
        sim.step(still)
    for name, values in sim.sense().items():
        np.testing.assert_allclose(values, there[name], atol=2e-3, err_msg=name)


def test_its_pictures_are_its_own_beside_another_and_after_that_one_is_closed(sim):
    sim.reset(100_000)
    alone = sim.observe().images
    other = open_simulator(contract_of(compose(["task=libero_spatial", "task.only=4", *SMALL])))
    other.reset(0)
    theirs, beside = other.observe().images, sim.observe().images
    again = other.observe().images
    sim.observe()
    other.close()
    after = sim.observe().images
    for role in alone:
        np.testing.assert_array_equal(beside[role], alone[role])
        np.testing.assert_array_equal(after[role], alone[role])
        np.testing.assert_array_equal(again[role], theirs[role])


def test_what_is_drawn_lies_in_its_drawer_whatever_was_shown_before():
    """LIBERO draws it relative to where the cabinet stood as compiled; a reset that forgot that dropped it from a metre above."""
    drawer = open_simulator(contract_of(compose(["task=libero_spatial", "task.only=4", *SMALL])))
    first = {}
    for scene in (0, 100_000, 1, 0):
        drawer.reset(scene)
        labels = drawer.labels()
        off_m = labels["akita_black_bowl_1_position_m"] - labels["wooden_cabinet_1_position_m"]
        assert np.linalg.norm(off_m[:2]) < 0.2 and 0.1 < off_m[2] < 0.2
        if scene in first:
            np.testing.assert_array_equal(drawer.state()["mujoco"], first[scene])
        first[scene] = drawer.state()["mujoco"]
    drawer.close()


def test_its_numbers_and_its_labels(sim):
    sim.reset(100_000)
    numbers, labels = sim.sense(), sim.labels()
    assert {name: value.shape for name, value in numbers.items()} == {
        "eef_pos": (3,), "eef_axis_angle": (3,), "fingers": (2,), "qpos": (9,)
    }  # fmt: skip
    assert 3.0 < np.linalg.norm(numbers["eef_axis_angle"]) < 3.3  # the hand looks down
    assert numbers["fingers"][0] > 0.03 > -0.03 > numbers["fingers"][1]
    assert "alphabet_soup_1_position_m" in labels and "basket_1_quat_wxyz" in labels
    assert sim.prompt() == "pick up the alphabet soup and place it in the basket"


def test_a_stored_state_and_a_drawn_one_are_other_scenes(sim):
    sim.reset(100_000)
    stored = sim.labels()
    sim.reset(0)
    drawn = sim.labels()
    assert max(np.abs(stored[name] - drawn[name]).max() for name in stored) > 1e-3


def test_the_action_moves_the_hand_and_closes_it(sim):
    sim.reset(100_000)
    before = sim.sense()
    for _ in range(15):
        info = sim.step(np.array([0, 0, -0.5, 0, 0, 0, 1], np.float32))
    after = sim.sense()
    assert after["eef_pos"][2] < before["eef_pos"][2] - 0.05 and after["fingers"][0] < 0.01
    assert not info.success and set(info.flags) == {"reached", "grasped", "lifted", "placed"} and info.steps == 15


def test_a_thing_in_the_basket_is_success(sim):
    sim.reset(100_000)
    base = sim.base
    basket = sim.labels()["basket_1_position_m"]
    joint = base.objects_dict["alphabet_soup_1"].joints[-1]
    base.sim.data.set_joint_qpos(joint, np.concatenate([basket + [0, 0, 0.08], [0.7071, 0.7071, 0, 0]]))
    base.sim.forward()
    infos = [sim.step(np.array([0, 0, 0, 0, 0, 0, -1], np.float32)) for _ in range(20)]
    assert infos[-1].success and infos[-1].flags["placed"]


def test_the_camera_is_turned_by_180_degrees(sim):
    sim.reset(100_000)
    shown = sim.observe().images["base_0_rgb"]
    raw = sim.base.sim.render(camera_name="agentview", width=48, height=48)
    np.testing.assert_array_equal(shown, raw[::-1, ::-1])


def test_a_camera_that_is_given_a_place_looks_from_there_and_is_level():
    """What stands higher is higher in the picture: the basket's rim is above the basket's middle."""
    contract = contract_of(compose(["task=libero_object", "camera=libero_floor"]))
    (camera,) = contract.cameras
    sim = open_simulator(contract)
    for scene in (100_000, 100_050):  # another task's model is another one
        sim.reset(scene)
        data, number = sim.base.sim.data, sim.base.sim.model.camera_name2id("agentview")
        axes = data.cam_xmat[number].reshape(3, 3)  # right, up, back in columns
        away_m = np.subtract(camera.target_m, camera.eye_m)
        np.testing.assert_allclose(data.cam_xpos[number], camera.eye_m, atol=1e-6)
        np.testing.assert_allclose(-axes[:, 2], away_m / np.linalg.norm(away_m), atol=1e-6)
        assert abs(axes[2, 0]) < 1e-6 and axes[2, 1] > 0.3
        assert np.isclose(sim.base.sim.model._model.cam_fovy[number], np.rad2deg(camera.fov_rad))
        raw = sim.base.sim.render(camera_name="agentview", width=128, height=128)
        np.testing.assert_array_equal(sim.observe().images["base_0_rgb"], raw[::-1, ::-1])
    sim.close()


def test_what_is_in_sight_is_what_the_picture_shows():
    """Shares of pixels that change where a thing is taken away, and none once it is gone."""
    sim = open_simulator(contract_of(compose(["task=libero_object", "camera=libero_floor"])))
    sim.reset(100_000)
    before, shown = sim.observe().images["base_0_rgb"].astype(int), sim.in_sight()
    assert shown.keys() == sim.labels().keys()
    for name in ("tomato_sauce_1", "milk_1", "butter_1"):
        joint = sim.base.objects_dict[name].joints[-1]
        was = np.array(sim.base.sim.data.get_joint_qpos(joint))
        sim.base.sim.data.set_joint_qpos(joint, [9.0, 9.0, 0.1, 1, 0, 0, 0])
        sim.base.sim.forward()
        changed = (np.abs(before - sim.observe().images["base_0_rgb"]).max(axis=-1) > 8).mean()
        share = shown[f"{name}_position_m"]
        assert share == shown[f"{name}_quat_wxyz"] and 0.7 * changed < share < 1.4 * changed
        assert sim.in_sight()[f"{name}_position_m"] == 0
        sim.base.sim.data.set_joint_qpos(joint, was)
    sim.close()


@pytest.mark.parametrize("turned", [[], ["task.settings.turn_deg=0"]])
@pytest.mark.parametrize("camera", ["camera=libero_floor", "camera=libero"])
def test_a_point_is_in_the_picture_where_the_camera_shows_it(turned, camera):
    """What changes when the tomato sauce is taken away lies around where its middle was."""
    sim = open_simulator(contract_of(compose(["task=libero_object", camera, *turned])))
    sim.reset(100_000)
    before, points_m = sim.observe().images["base_0_rgb"], sim.labels()["tomato_sauce_1_position_m"]
    places = sim.in_picture(points_m[None])
    assert list(places) == ["base_0_rgb"]
    joint = sim.base.objects_dict["tomato_sauce_1"].joints[-1]
    sim.base.sim.data.set_joint_qpos(joint, [9.0, 9.0, 0.1, 1, 0, 0, 0])
    sim.base.sim.forward()
    changed = np.abs(before.astype(int) - sim.observe().images["base_0_rgb"]).max(axis=-1) > 8
    sim.close()
    rows, columns = np.nonzero(changed)
    middle = (np.array([columns.mean(), rows.mean()]) + 0.5) / len(before) * 2 - 1
    np.testing.assert_allclose(places["base_0_rgb"][0], middle, atol=0.05)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["camera.entries.wrist.eye_m=[0,0,1]", "camera.entries.wrist.target_m=[0,0,0]"], "carried by the robot"),
        (["camera.entries.base.sensor=base_camera"], "LIBERO has .*agentview"),
        (["camera.entries.base.eye_m=[0,0,1]", "camera.entries.base.target_m=[0,0,0]"], "not straight down"),
    ],
)
def test_a_camera_that_cannot_be_placed_is_refused(words, said):
    sim = open_simulator(contract_of(compose(["task=libero_object", *SMALL, *words])))
    with pytest.raises(ValueError, match=said):
        sim.reset(100_000)


def test_another_mujoco_is_refused_before_anything_is_opened():
    contract = contract_of(compose(["task=libero_object", "task.settings.mujoco=2.3.7"]))
    with pytest.raises(ValueError, match=r"task\.settings\.mujoco=2\.3\.7, and .* is installed here"):
        open_simulator(contract)


def test_a_goal_of_two_parts_has_a_flag_for_each():
    contract = contract_of(compose(["task=libero_10", "task.only=0", *SMALL]))
    with_two = open_simulator(dataclasses.replace(contract))
    with_two.reset(100_000)
    flags = with_two.step(np.array([0, 0, 0, 0, 0, 0, -1], np.float32)).flags
    assert {"in_alphabet_soup_1_basket_1_contain_region", "in_tomato_sauce_1_basket_1_contain_region"} <= set(flags)
    with_two.close()


def test_a_suite_of_libero_pro_has_its_own_goal_and_stored_states():
    other = open_simulator(contract_of(compose(["task=libero_object_task", "task.only=0", *SMALL])))
    other.reset(100_000)
    assert (
        other.sub_goals.thing == "cream_cheese_1"
        and other.prompt() == "Pick the cream cheese and place it in the basket"
    )
    other.close()


def test_a_scene_is_shown_with_its_arm_elsewhere(sim):
    sim.reset(800_000)
    usual, things = sim.sense()["qpos"], sim.labels()
    elsewhere = usual + np.array([0.2, -0.1, 0, 0.1, 0, 0.1, 0.3, -0.02, 0], np.float32)
    sim.arrange(800_000, elsewhere, rebuild=False)
    shown = sim.sense()["qpos"]
    np.testing.assert_allclose(shown[:8], elsewhere[:8], atol=1e-6)
    assert shown[8] == -shown[7]
    for name, value in sim.labels().items():
        np.testing.assert_allclose(value, things[name], atol=1e-6)


def test_a_step_is_robosuites_bit_for_bit(sim):
    """Hand, things touched and the gripper's command included."""
    rng = np.random.default_rng(0)
    actions = np.clip(0.6 * rng.standard_normal((40, 7)), -1, 1)
    actions[:, 2], actions[:, 6] = -0.8, np.where(np.arange(40) < 20, -1, 1)

    def after_each(advance) -> list[dict[str, np.ndarray]]:
        sim.reset(100_000)
        places = sim.base.sim.data
        return [
            {"done": advance(action), "warm": np.array(places.qacc_warmstart), "xpos": np.array(places.body_xpos)}
            | {"contacts": places.ncon, **sim.state(), **sim.sense()}
            for action in actions
        ]

    ours, theirs = after_each(sim.advance), after_each(lambda action: sim.env.step(action)[2])
    assert sim.advance.__self__.__class__.__name__ == "Stepper"
    for one, other in zip(ours, theirs, strict=True):
        for name in other:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert ours[-1]["contacts"] != ours[0]["contacts"]


@pytest.mark.parametrize("task", ["libero_object", "libero_spatial", "libero_goal", "libero_10"])
def test_pictures_without_what_is_out_of_sight_are_robosuites_bit_for_bit(task):
    """With and without a stove, whose top reflects things, and with it in view of the hand and not."""
    sim, left_out = open_simulator(contract_of(compose([f"task={task}", "task.only=2", *SMALL]))), []
    for scene, aside in ((100_000, 0.6), (100_001, -0.6)):
        sim.reset(scene)
        scenery = sim.base.sim._render_context_offscreen.scn
        groups, flags = sim.base.sim.model.geom_group.copy(), np.array(scenery.flags)
        for _ in range(3):
            for camera in ("agentview", "robot0_eye_in_hand"):
                shown, drawn = sim.sight.picture(camera, 96, 96), scenery.ngeom
                np.testing.assert_array_equal(shown, sim.base.sim.render(camera_name=camera, width=96, height=96))
                left_out.append(scenery.ngeom - drawn)
            for _ in range(8):
                sim.step(np.array([0.3, aside, -0.5, 0, 0.3, aside, -1], np.float32))
        np.testing.assert_array_equal(sim.base.sim.model.geom_group, groups)
        np.testing.assert_array_equal(scenery.flags, flags)
    sim.close()
    assert max(left_out) > 40
