"""ManiSkill trajectory files of other versions, of other robots, torn: a sentence with file and episode, nothing written."""

import copy
import json
import re
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.datasets.inspect import look
from pirig.demos.maniskill.trajectory import FileSource, from_file, read_index
from pirig.foreign.trajectory import read_trajectory
from pirig.gates.ask import reports

GOOD = {
    "env_info": {"env_id": "PushCube-v1", "env_kwargs": {"robot_uids": "panda", "obs_mode": "none"}},
    "source_type": "motionplanning",
    "commit_info": {"branch": "main"},
    "episodes": [
        {
            "episode_id": number,
            "episode_seed": number,
            "control_mode": "pd_joint_pos",
            "elapsed_steps": 5,
            "reset_kwargs": {"seed": number},
            "success": True,
        }
        for number in (0, 1)
    ],
}


@pytest.fixture(scope="module")
def config():
    return compose(["task=push_cube", "camera=close", "demos.workers=1"])


def write(folder, bend=lambda said: None, arrays=lambda file: None):
    """The .h5 and the .json of two episodes, bent."""
    said, path = copy.deepcopy(GOOD), folder / "trajectory.h5"
    with h5py.File(path, "w") as file:
        for number in (0, 1):
            file[f"traj_{number}/actions"] = np.zeros((5, 8), np.float32)
        arrays(file)
    bend(said)
    path.with_suffix(".json").write_text(json.dumps(said))
    return path


def each(change):
    return lambda said: [change(episode) for episode in said["episodes"]]


def second(**keys):
    return lambda said: said["episodes"][1].update(keys)


def kwargs(**keys):
    return lambda said: said["env_info"]["env_kwargs"].update(keys)


def actions(values):
    def change(file):
        del file["traj_1/actions"]
        file["traj_1/actions"] = values

    return change


def robot_group(file):
    values = file["traj_1/actions"][()]
    del file["traj_1/actions"]
    file["traj_1/actions/panda-0"] = values
    file["traj_1/actions/panda-1"] = values


BENT = np.zeros((5, 8), np.float32)
BENT[3, 2] = np.nan
SIDECAR = [
    (lambda said: said.pop("env_info"), r"trajectory\.json: no env_info; expected an entry with env_id.*correct it there"),
    (lambda said: said["env_info"].pop("env_id"), r"no env_info\.env_id; expected the environment's name"),
    (lambda said: said["env_info"].update(env_id=None), r"env_info\.env_id is None; expected"),
    (lambda said: said.update(env_info=[]), r"env_info is \[\]; expected"),
    (lambda said: said["env_info"].update(env_kwargs="panda"), r"env_kwargs is 'panda'; expected the settings"),
    (lambda said: said.pop("episodes"), r"no episodes; expected a list"),
    (lambda said: said.update(episodes=[]), r"episodes is empty; expected an entry for each episode"),
    (lambda said: said.update(episodes={"0": {}}), r"episodes is .*; expected a list"),
    (lambda said: said.update(episodes=[None, None]), r"episodes is \[None, None\]; expected a list"),
    (second(episode_seed=[1, 2], reset_kwargs={}), r"episode 1: episode_seed is \[1, 2\]; expected the seed of its reset"),
    (second(episode_seed="1"), r"episode 1: episode_seed is '1'; expected the seed"),
    (second(episode_seed=-1), r"episode 1: episode_seed is -1; expected the seed of its reset, a whole number from 0"),
    (second(episode_seed=2**40), r"episode 1: episode_seed is 1099511627776; expected"),
    (second(episode_seed=7), r"episode 1: episode_seed is 7, reset_kwargs\.seed is 1; expected the same seed"),
    (each(lambda one: [one.pop(key) for key in ("episode_seed", "reset_kwargs")]), r"episode 0: no episode_seed, and no seed in reset_kwargs"),
    (second(episode_id=0), r"episode 0: it is there twice"),
    (second(episode_id="1"), r"entry 1 of episodes: episode_id is '1'; expected a whole number"),
    (each(lambda one: one.pop("episode_id")), r"entry 0 of episodes: no episode_id; expected"),
    (second(episode_id=5), r"no traj_5, trajectory\.json has it|no entry of traj_1"),
    (lambda said: said["episodes"].pop(), r"trajectory\.json: episode 1: no entry of traj_1, trajectory\.h5 has it \(2 episodes in the .h5, 1"),
    (second(control_mode=3), r"episode 1: control_mode is 3; expected the name of a control mode"),
    (second(success="yes"), r"episode 1: success is 'yes'; expected true or false"),
    (second(elapsed_steps=9), r"episode 1: elapsed_steps is 9, the \.h5 holds 5 actions; expected the same number in both"),
    (second(elapsed_steps=-1), r"episode 1: elapsed_steps is -1; expected a whole number from 0"),
]  # fmt: skip
ARRAYS = [
    (robot_group, r"trajectory\.h5: episode 1: actions is a group of panda-0, panda-1, a file of several robots; expected actions"),
    (actions(np.zeros(5, np.float32)), r"episode 1: actions is float32 \[5\]; expected actions \[steps, numbers\]"),
    (actions(np.zeros((0, 8), np.float32)), r"episode 1: actions is float32 \[0, 8\]"),
    (actions(np.array([[b"a"] * 8])), r"episode 1: actions is \|S1 \[1, 8\]"),
    (actions(BENT), r"episode 1, frame 3: a NaN or infinite action at step 3 \(number 2\)"),
    (lambda file: file.pop("traj_1/actions"), r"episode 1: no actions"),
    (lambda file: file.create_dataset("traj_1/env_states/actors/cube", data=np.zeros((4, 13))), r"episode 1: env_states/actors/cube has 4 rows for 5 actions; expected 6 rows"),
    (lambda file: file.create_dataset("traj_1/env_states", data=np.zeros((5, 70))), r"episode 1: env_states has 5 rows for 5 actions; expected 6"),
    (lambda file: file.create_dataset("traj_1/terminated", data=np.zeros(9, bool)), r"episode 1: terminated has 9 rows for 5 actions; expected 5"),
    (lambda file: file.pop("traj_1"), r"trajectory\.h5: episode 1: no traj_1, trajectory\.json has it"),
    (lambda file: [file.move(f"traj_{n}", f"demo_{n}") for n in (0, 1)], r"it holds demo_0, demo_1; expected groups traj_<n>"),
    (lambda file: [file.pop(f"traj_{n}") for n in (0, 1)], r"it holds nothing; expected groups traj_<n>"),
]  # fmt: skip
DAMAGED = [(bend, lambda file: None, says) for bend, says in SIDECAR] + [
    (lambda said: None, change, says) for change, says in ARRAYS
]


def refusals(config, path, folder) -> list[str]:
    """What demos, inspect and doctor say."""
    with pytest.raises(ValueError) as caught:
        from_file(contract_of(config), path, config.demos, folder)
    assert not folder.exists()
    (report,) = [report for _, report in reports(path)]
    return [
        str(caught.value),
        *(lines[0].removeprefix("damaged: ") for lines in (look(path).missing, report.found["complete"])),
    ]


@pytest.mark.parametrize(("bend", "arrays", "says"), DAMAGED, ids=[says[:60] for _, _, says in DAMAGED])
def test_every_command_says_the_same_sentence_and_writes_nothing(config, tmp_path, bend, arrays, says):
    demos, inspect, doctor = refusals(config, write(tmp_path, bend, arrays), tmp_path / "demos")
    assert re.search(says, demos), demos
    assert str(tmp_path) in demos and demos == inspect == doctor


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("trajectory.json", lambda data: b"", r"trajectory\.json: it is empty"),
        ("trajectory.json", lambda data: data[:40], r"trajectory\.json: line 1 is not valid JSON"),
        ("trajectory.json", lambda data: b"[1, 2]", r"trajectory\.json: it holds \[1, 2\]; expected a JSON object"),
        ("trajectory.json", lambda data: data.replace(b"main", b"m\xfcn"), r"trajectory\.json: byte 0xfc in line 1 is no UTF-8"),
        ("trajectory.h5", lambda data: data[: len(data) // 2], r"trajectory\.h5: truncated or not an HDF5 file"),
        ("trajectory.h5", lambda data: b"", r"trajectory\.h5: truncated or not an HDF5 file"),
        ("trajectory.h5", lambda data: b"PK\x03\x04" * 99, r"trajectory\.h5: truncated or not an HDF5 file"),
    ],
)  # fmt: skip
def test_torn_files_are_named(config, tmp_path, name, change, says):
    path = write(tmp_path)
    (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    demos, inspect, doctor = refusals(config, path, tmp_path / "demos")
    assert re.search(says, demos) and demos == inspect == doctor


@pytest.mark.parametrize(
    ("bend", "arrays", "says"),
    [
        (kwargs(robot_uids="panda_wristcam"), None, r"recorded with robot panda_wristcam \(it says\); expected this run's panda"),
        (kwargs(robot_uids=["panda_wristcam"]), None, r"recorded with robot panda_wristcam"),
        (kwargs(robot_uids=["panda", "panda"]), None, r"robot_uids is \['panda', 'panda'\]; expected one robot"),
        (kwargs(robot_uids=None), lambda file: file.create_dataset("traj_0/env_states/articulations/panda_wristcam", data=np.zeros((6, 31))),
         r"recorded with robot panda_wristcam \(its env_states say\)"),
        (None, lambda file: file.create_dataset("traj_0/env_states/articulations/panda_wristcam", data=np.zeros((6, 31))),
         r"robot_uids is panda, the env_states of the \.h5 are of panda_wristcam; expected the same robot"),
        (kwargs(sim_config={"control_freq": 10}), None, r"recorded at a control rate of 10 Hz; expected this run's 20 Hz; give control\.control_hz=10"),
        (kwargs(control_freq=50), None, r"recorded at a control rate of 50 Hz"),
        (lambda said: said["env_info"].update(env_id="PickCube-v1"), None, r"recorded in PickCube-v1; expected this run's PushCube-v1"),
        (each(lambda one: one.update(success=False)), None, r"none of its 2 episodes succeeded \(success is false\)"),
        (each(lambda one: one.update(info={"success": False}, success=None)), None, r"none of its 2 episodes succeeded"),
        (each(lambda one: one.pop("success")), lambda file: [file.create_dataset(f"traj_{n}/success", data=np.zeros(5, bool)) for n in (0, 1)],
         r"none of its 2 episodes succeeded"),
        (None, actions(np.zeros((5, 7), np.float32)), r"episode 1: its actions have 7 numbers; expected 8 numbers in pd_joint_pos"),
        (each(lambda one: one.update(control_mode="pd_joint_vel")), None, r"control mode pd_joint_vel; expected pd_ee_delta_pose, or what can be replayed into it: pd_joint_pos, pd_joint_delta_pos, pd_joint_target_delta_pos, pd_ee_delta_pos"),
        (None, actions(np.full((5, 8), 57.3, np.float32)), r"episode 1, frame 0: joint 1 is sent to 57\.3; expected joint targets in rad"),
        (second(episode_seed=0, reset_kwargs={}), None, r"episode 1: it has the seed 0 of episode 0; expected a seed of its own"),
    ],
)  # fmt: skip
def test_what_the_contract_knows_is_compared_key_by_key(config, tmp_path, bend, arrays, says):
    path = write(tmp_path, bend or (lambda said: None), arrays or (lambda file: None))
    with pytest.raises(ValueError, match=says):
        from_file(contract_of(config), path, config.demos, tmp_path / "demos")
    assert not (tmp_path / "demos").exists()


@pytest.mark.parametrize(
    ("env_id", "camera", "fits"),
    [("StackCube-v1", "close", False), ("StackCube-v1", "wrist", True), ("PushCube-v1", "close", True)],
)
def test_a_missing_robot_is_the_environments_default(tmp_path, env_id, camera, fits):
    task = {"StackCube-v1": "stack_cube", "PushCube-v1": "push_cube"}[env_id]
    contract = contract_of(compose([f"task={task}", f"camera={camera}", "horizon=16"]))
    path = write(tmp_path, lambda said: said["env_info"].update(env_id=env_id, env_kwargs={}))
    if fits:
        assert len(read_index(contract, path).successful) == 2
        return
    with pytest.raises(ValueError, match=r"robot panda_wristcam \(it names none, and StackCube-v1's default is that\)"):
        read_index(contract, path)


@pytest.mark.parametrize(
    ("bend", "seeds"),
    [
        (each(lambda one: one.pop("episode_seed")), [0, 1]),
        (each(lambda one: one.update(episode_seed=[one["episode_seed"]])), [0, 1]),
        (each(lambda one: one.update(reset_kwargs={"seed": [one["episode_seed"]], "options": {}})), [0, 1]),
        (each(lambda one: one.update(reset_kwargs=None, elapsed_steps=None)), [0, 1]),
        (each(lambda one: one.update(success=1)), [0, 1]),
        (each(lambda one: one.update(success=None)), [0, 1]),
        (second(success=False), [0]),
        (kwargs(control_mode="pd_joint_pos"), [0, 1]),
        (lambda said: said["env_info"].pop("env_kwargs"), [0, 1]),
    ],
)
def test_sidecars_of_other_versions_are_understood(config, tmp_path, bend, seeds):
    index = read_index(contract_of(config), write(tmp_path, bend))
    source = FileSource(contract_of(config), index.path, index)
    assert list(source.episodes) == seeds and set(source.modes.values()) == {"pd_joint_pos"}


def test_a_control_mode_that_is_not_named_is_the_robots_first_one(config, tmp_path):
    index = read_index(contract_of(config), write(tmp_path, each(lambda one: one.pop("control_mode"))))
    assert set(FileSource(contract_of(config), index.path, index).modes.values()) == {"pd_joint_delta_pos"}


def test_a_file_of_maniskill_2_keeps_its_states_as_one_array(config, tmp_path):
    def old(file):
        for number in (0, 1):
            file[f"traj_{number}/env_states"] = np.zeros((6, 70), np.float32)
            file[f"traj_{number}/obs"] = np.zeros((6, 40), np.float32)

    path = write(tmp_path, each(lambda one: one.update(info={"success": True}, success=None)), old)
    file = read_trajectory(path)
    assert file.robots == () and [one.success for one in file.episodes] == [True, True]
    source = FileSource(contract_of(config), path, read_index(contract_of(config), path))
    source.choose()
    assert not source.own


def test_the_remedy_for_another_control_mode_works_when_typed(tmp_path):
    """A file may hold velocities: what is advised composes, and then the file fits."""
    path = write(tmp_path, each(lambda one: one.update(control_mode="pd_joint_vel")))
    words = ["task=push_cube", "camera=close"]
    with pytest.raises(ValueError) as caught:
        read_index(contract_of(compose(words)), path)
    advised = re.search(r"give (.*) to train on them", str(caught.value))[1]
    more = re.findall(r"(control\.\w+=(?:'[^']*'|\S+))", advised)
    contract = contract_of(compose([*words, *(word.replace("'", "") for word in more)]))
    assert len(read_index(contract, path).successful) == 2


def test_too_few_demos_of_a_file_are_answered_with_a_count_that_works(config, tmp_path):
    path = write(tmp_path)
    source = FileSource(contract_of(config), path, read_index(contract_of(config), path))
    said = source.too_few([0], [0, 1], 2)
    assert "1 of 2 episodes end in success" in said and "episode 1 does not: give demos.count=1" in said
    assert "max_tries" not in said and "choose another file" in source.too_few([], [0, 1], 2)
    assert replace(config.demos, count=1).count == 1


@pytest.mark.parametrize(
    ("kind", "more", "who"),
    [
        ("motionplanning", None, "a motion planner (source_type motionplanning)"),
        ("rl", "PPO, 2M steps", "a policy of reinforcement learning (source_type rl, 'PPO, 2M steps')"),
        ("teleoperation", None, "a person (teleoperation) (source_type teleoperation)"),
        ("diffusion", None, "diffusion (source_type diffusion)"),
        (None, None, ""),
        (["rl"], None, ""),
    ],
)
def test_who_recorded_a_file_is_named(tmp_path, kind, more, who):
    path = write(tmp_path, lambda said: said.update(source_type=kind, source_desc=more))
    assert read_trajectory(path).recorded_by == who
    assert ([f"  recorded by {who}"] if who else []) == [one for one in look(path).lines if "recorded by" in one]


@pytest.mark.parametrize(
    ("name", "data"), [("old.pkl", b"anything"), ("old.h5", b"\x80\x04\x95\x10"), ("OLD.PICKLE", b"")]
)
def test_a_pickle_is_refused_with_the_reason_and_never_read(config, tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    for ask in (read_trajectory, look):
        with pytest.raises(ValueError, match=rf"{name}: it is a Python pickle, and reading one runs whatever code"):
            ask(path)
    with pytest.raises(ValueError, match=r"write it as \.h5"):
        from_file(contract_of(config), path, config.demos, tmp_path / "demos")
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_motion_at_its_bound_is_said(config):
    from pirig.demos.maniskill import saturated

    contract = contract_of(config)
    quiet = np.random.default_rng(0).uniform(-0.9, 0.9, (40, 7)).astype(np.float32)
    quiet[:, 6] = -1  # a gripper that stays closed is no motion
    assert saturated.note(contract, [quiet]) == ""
    fast = quiet.copy()
    fast[:10, 1], fast[:4, 5] = 1, -1
    said = saturated.note(contract, [quiet, fast])
    assert "motion saturates" in said and "dy 12%, drz 5%" in said and "gripper" not in said
    assert saturated.note(replace(contract, control_mode="pd_joint_pos"), [fast]) == ""
