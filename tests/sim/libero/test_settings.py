"""What can be known of LIBERO without it: scenes, numbers, pictures, settings, and what a suite's config is."""

import dataclasses

import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.contract import Contract, ContractError, require_equal
from pirig.policies.layouts import libero as layout
from pirig.sim import door
from pirig.sim.libero.numbers import axis_angle, turned
from pirig.sim.libero.places import place_of
from pirig.sim.libero.settings import require_versions, settings_of
from pirig.transforms.state import build_state

LIMITS = {"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520, "libero_90": 400}


@pytest.mark.parametrize("suite", LIMITS)
def test_a_suite_has_its_tasks_its_limit_and_the_published_settings(suite):
    config = compose([f"task={suite}"])
    contract, count = contract_of(config), 90 if suite == "libero_90" else 10
    assert config.eval.max_steps == LIMITS[suite] and len(contract.scenes) == count
    assert len({scene.env_id for scene in contract.scenes}) == count
    assert all(scene.env_id == f"{suite}/{scene.task}" and scene.prompt.islower() for scene in contract.scenes)
    told = settings_of(contract)
    assert (told.env_seed, told.wait_steps, told.turn_deg) == (7, 10, 180)
    assert (contract.control_hz, contract.state_dim, contract.gripper_open) == (20, 8, -1.0)
    assert [camera.width_px for camera in contract.cameras] == [256, 256]
    assert Contract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize("suite", ["libero_spatial", "libero_object", "libero_goal", "libero_10"])
@pytest.mark.parametrize("kind", ["lan", "object", "swap", "task"])
def test_libero_pros_suites_are_the_same_tasks_and_two_kinds_are_told_other_sentences(suite, kind):
    config, usual = compose([f"task={suite}_{kind}"]), contract_of(compose([f"task={suite}"]))
    contract = contract_of(config)
    assert config.eval.max_steps == LIMITS[suite] and [s.task for s in contract.scenes] == [
        s.task for s in usual.scenes
    ]
    assert all(scene.env_id == f"{suite}_{kind}/{scene.task}" for scene in contract.scenes)
    alike = [ours.prompt == theirs.prompt for ours, theirs in zip(contract.scenes, usual.scenes, strict=True)]
    assert not all(alike) if kind in ("lan", "task") else all(alike)
    assert dataclasses.replace(contract, scenes=usual.scenes) == usual


def test_one_task_by_its_number_or_its_name_is_one_contract():
    name = "pick_up_the_ketchup_and_place_it_in_the_basket"
    by_number, by_name = (contract_of(compose(["task=libero_object", f"task.only={one}"])) for one in ("4", name))
    assert by_number == by_name
    assert by_number.prompt == "pick up the ketchup and place it in the basket"
    assert by_number.env_id == f"libero_object/{name}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=libero_object", "task.only=10"], r"task\.only=10 .* expected a number from 0 to 9 or a task's name"),
        (["task=libero_object", "task.only=pick_up_the_ketchup_and_place_it"], "Did you mean pick_up_the_ketchup_and"),
        (["task=push_cube", "task.only=1"], r"task\.only=1 with task=push_cube: it is one task"),
    ],
)
def test_a_task_that_is_not_there_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        compose(words)


def test_results_of_other_settings_are_told_apart():
    usual = contract_of(compose(["task=libero_goal"]))
    other = contract_of(compose(["task=libero_goal", "task.settings.env_seed=0"]))
    assert usual.hash != other.hash
    with pytest.raises(ContractError, match=r"settings: .*'env_seed', 7.* != .*'env_seed', 0"):
        require_equal(usual, other, our_name="one", their_name="the other")


def test_scenes_spread_over_the_tasks_and_stored_states_are_for_what_is_measured():
    held_out = [place_of(scene, 10) for scene in range(100_000, 100_500)]
    assert {(place.task, place.state) for place in held_out} == {
        (task, state) for task in range(10) for state in range(50)
    }
    assert [place.task for place in held_out[:10]] == list(range(10))
    assert [place_of(scene, 1).state for scene in range(100_000, 100_050)] == list(range(50))
    for scene in (0, 99_999, 500_000, 600_003):
        place = place_of(scene, 10)
        assert (place.state, place.task, place.seed) == (None, scene % 10, scene)
    with pytest.raises(ValueError, match=r"50 initial states of each task.* at most eval\.episodes=500"):
        place_of(100_500, 10)


def test_scenes_of_a_task_follow_one_another_and_are_asked_before_anything_starts():
    contract = contract_of(compose(["task=libero_spatial"]))
    assert door.in_groups(contract, range(100_000, 100_025))[:3] == [100_000, 100_010, 100_020]
    assert door.group_of(contract, 100_013) == 3
    with pytest.raises(ValueError, match="50 initial states"):
        door.in_groups(contract, [100_000, 100_500])
    assert door.in_groups(contract_of(compose(["task=push_cube"])), [3, 1, 2]) == [3, 1, 2]


def test_the_first_few_demos_of_a_suite_are_of_all_its_tasks():
    contract = contract_of(compose(["task=libero_spatial"]))
    by_task = [10 * state + task for task in range(10) for state in range(40) if (task, state) != (3, 0)]
    assert [scene % 10 for scene in door.in_turns(contract, by_task)[:20]] == [*range(10)] * 2
    assert door.in_turns(contract, by_task)[3] == 13
    assert door.in_turns(contract_of(compose(["task=push_cube"])), [3, 1, 2]) == [3, 1, 2]


def test_the_axis_angle_goes_on_above_half_a_turn():
    """robosuite's; flipping the sign where w < 0 cost others 14 to 40 points."""
    half, axis = np.deg2rad(200) / 2, np.array([1.0, 0.0, 0.0])
    beyond = np.array([*(axis * np.sin(half)), np.cos(half)])
    assert beyond[3] < 0
    np.testing.assert_allclose(axis_angle(beyond), axis * np.deg2rad(200), atol=1e-9)
    np.testing.assert_allclose(axis_angle(-beyond), -axis * np.deg2rad(160), atol=1e-9)
    np.testing.assert_array_equal(axis_angle(np.array([0, 0, 0, 1.0])), np.zeros(3))
    np.testing.assert_array_equal(axis_angle(np.array([0, 0, 0, 1.0000001])), np.zeros(3))


def test_a_picture_is_turned_in_its_plane():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    once = turned(image, 180)
    np.testing.assert_array_equal(once[0, 0], image[1, 2])
    np.testing.assert_array_equal(turned(once, 180), image)
    assert turned(image, 0) is image and once.flags["C_CONTIGUOUS"]


def test_the_state_is_openpis_eight_numbers_and_goes_over_its_wire():
    contract = contract_of(compose(["task=libero_object"]))
    numbers = {"eef_pos": np.arange(3.0), "eef_axis_angle": np.arange(3.0, 6.0), "fingers": np.arange(6.0, 8.0)}
    np.testing.assert_array_equal(build_state(contract.state, numbers), np.arange(8))
    shown = layout.read(layout.example(np.random.default_rng(0)), dataclasses.replace(contract, image_px=224))
    assert shown.state.shape == (8,) and set(shown.images) == {"base_0_rgb", "left_wrist_0_rgb"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task.settings.turn_deg=90"], r"turn_deg=90: expected 180"),
        (["+task.settings.gravity=1"], r"task\.settings has .*gravity"),
        (["task.settings.wait_steps=-1"], "wait_steps of at least 0"),
        (["control.sim_hz=100"], r"control\.sim_hz=100 with LIBERO: expected 500"),
        (["control.mode=pd_ee_delta_pose"], r"choose control=osc_pose"),
    ],
)
def test_what_libero_cannot_do_is_said(words, said):
    with pytest.raises(ValueError, match=said):
        settings_of(contract_of(compose(["task=libero_object", *words])))


def test_another_version_than_the_contracts_is_refused(monkeypatch):
    import pirig.sim.libero.settings as settings

    told = settings_of(contract_of(compose(["task=libero_object"])))
    monkeypatch.setattr(settings, "_installed", {"mujoco": "2.3.7", "robosuite": "1.4.0"}.get)
    with pytest.raises(ValueError, match=r"mujoco=3\.17\.0, and 2\.3\.7 is installed .* mujoco==3\.17\.0"):
        require_versions(told)
    monkeypatch.setattr(settings, "_installed", {"mujoco": "3.17.0", "robosuite": "1.4.0"}.get)
    require_versions(told)


def test_where_it_is_not_installed_the_command_that_installs_it_is_said(monkeypatch):
    from pirig.sim.libero import implementation

    monkeypatch.setattr(implementation.importlib.util, "find_spec", lambda name: None)
    contract = contract_of(compose(["task=libero_object"]))
    assert r"pip install -c constraints.txt -e '.[libero]'" in door.unavailable(contract)
    with pytest.raises(ValueError, match=r"LIBERO is not installed here.*\.\[libero\].*make libero"):
        door.open_simulator(contract)
