"""The config: what composes, what is refused, and what the message says."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pirig.conf.camera
import pytest
import yaml

from pirig.config.agreement import contract_of
from pirig.config.checks import ConfigError
from pirig.config.command_line import rewrite
from pirig.config.load import compose, of_run
from pirig.config.places import places_of
from pirig.config.schema import Mode
from pirig.contract import Contract, ContractError, require_equal
from pirig.runs.record import open_run
from pirig.sweeps.record import config_of

CONF = Path(pirig.conf.camera.__file__).parents[1]
ARM, RELATIVE = ("task=kinova", "demos.path=/recorded"), "control.relative_to_state=[7,-1]"


def test_numbers_become_option_names():
    assert rewrite(["horizon=20", "fsdp=1,8", "train.steps=3"]) == ["horizon=h20", "fsdp=fsdp1,fsdp8", "train.steps=3"]
    assert rewrite(["weights=a/params"]) == ["weights=local", "weights.path=a/params"]
    assert rewrite(["train.seed=0,1", "-m"]) == ["-m", "train.seed=0,1"]


def test_horizon_and_fsdp_compose_as_numbers():
    config = compose(["horizon=20", "fsdp=8", "train.batch_size=64"])
    assert (config.horizon.steps, config.fsdp.devices) == (20, 8)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["fsdp=8", "train.batch_size=12"], ["12", "8", "choose train.batch_size=8"]),
        (["horizon=50"], ["50", "33", "push_cube"]),
        (["size=full", "model=pi05", "weights=pi0_base"], ["pi0_base", "pi05", "choose"]),
        (["finetune=lora"], ["lora", "scratch", "choose"]),
        (["task=pick_cube", "state=joints"], ["pick_cube", "joints_goal", "allow_unobservable_goal"]),
        (["task=pick_cube", "model=pi0"], ["joints_goal", "11 numbers", "size.action_dim=11", "model=pi05"]),
        (["eval.execute=17"], ["17", "16"]),
        (["eval.first_seed=10"], ["training scenes", "choose eval.first_seed=100000"]),
        (["demos.first_seed=99990", "demos.count=4"], ["99990 to 100005", "choose eval.first_seed=100006"]),
        (["demos.first_seed=500100"], ["500000 to 599999", "reserved (diagnosis)", "choose demos.first_seed=0"]),
        (
            ["eval.first_seed=899990", "eval.episodes=20"],
            ["899990 to 900029", "labelled scenes", "choice of a checkpoint"],
        ),
        (["task=kinova", "demos.path=somewhere", "demos.labels=true"], ["demos.labels=true", "only a simulator knows"]),
        (["train.batch_size=0"], ["train.batch_size=0", "at least 1"]),
        (["+train.extra=1"], ["train.extra"]),
        (["tower=siglip", "size.image_px=130"], ["130", "16", "128"]),
        (["robot.simulated=false"], ["panda", "push_cube"]),
        (["robot=kinova", "task=push_cube"], ["ManiSkill has no kinova", "task=kinova"]),
        (["task=kinova", "robot=panda"], ["this task has no simulator", "robot=kinova"]),
        (["task=kinova", "state=joints"], ["qpos8 is a number of the simulator", "state=kinova_joints"]),
        (["task=kinova", "control=pd_ee_delta_pose"], ["pd_ee_delta_pose", "control=kinova_joints"]),
        (
            ["state.entries=[qpos8,velocity]"],
            ["state.entries[1]=velocity: expected one of qpos8", "goal_pos", "state_entries.py"],
        ),
        (["robot.uid=xarm6_robotiq"], ["robot.uid=xarm6_robotiq", "known are panda, panda_wristcam", "planner.py"]),
        (["camera=wrist", "robot.uid=xarm6_robotiq"], ["robot.uid=xarm6_robotiq", "state_entries.py"]),
        (["robot.wrist_uid=panda_stick"], ["robot.wrist_uid=panda_stick", "known are panda"]),
        (
            ["camera=wrist", "camera.entries.wrist.role=base_0_rgb"],
            ["entries.base and camera.entries.wrist", "role=base"],
        ),
        (
            ["camera=wrist", "camera.entries.wrist.sensor=base_camera", "camera.entries.wrist.width_px=64"],
            ["one sensor, base_camera"],
        ),
        (["state=kinova_joints"], ["joints7 is a number of a real arm", "state=joints"]),
        (["task=kinova"], ["demos.path=None", "demos.path=FOLDER"]),
        (["task=kinova", "demos.path=download"], ["demos.path=download", "demos.path=FOLDER"]),
        (["control.relative_to_state=[6,-1]"], ["[6,-1]", "pd_ee_delta_pose: its actions are no targets"]),
        ([*ARM, "control=kinova_joint_deltas", RELATIVE], ["[7,-1]", "joint_delta", "control=kinova_joints"]),
        ([*ARM, "control.relative_to_state=[7,-2]"], ["[7,-2] with actions of 8 numbers", "=[7,-1]"]),
        ([*ARM, "control.relative_to_state=[-8]"], ["at least one relative"]),
        ([*ARM, RELATIVE, "state.entries=[gripper1,joints7]"], ["number 1 of the state is gripper1[0]", "joints7[0]"]),
        (
            ["task=libero_object", "+task.points={hole: {pose: a_pose, part_of: a_box}}"],
            ["task.points=hole with task.simulator=libero", "leave them out (task.points={})"],
        ),
        ([*ARM, "control.relative_to_state=[8]", "state.entries=[joints7]"], ["number 8 of the state is nothing"]),
    ],
)
def test_contradictions_are_refused_with_value_and_remedy(overrides, words):
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["task=pick_cube", "state=joints", "state.includes_goal=true"],
        ["camera=wrist", "camera.wrist=false"],
        ["++camera.wrist=true"],
        ["~state.includes_goal"],
    ],
)
def test_what_the_entries_say_is_no_key_of_the_command_line(overrides):
    with pytest.raises(
        ValueError, match=r"(camera\.wrist|includes_goal).* no key any more.*(sensor=hand_camera|state\.entries)"
    ):
        compose(overrides)


def test_a_key_that_went_is_one_sentence_and_exit_status_1():
    command = [sys.executable, "-m", "pirig", "train", "camera=wrist", "camera.wrist=false"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no key any more" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("wrist", "refused"), [("true", False), ("false", True)])
def test_a_users_yaml_of_an_older_version_serves_where_it_agrees_with_its_entries(tmp_path, wrist, refused):
    (tmp_path / "camera").mkdir()
    text = (CONF / "camera" / "wrist.yaml").read_text()
    (tmp_path / "camera" / "mine.yaml").write_text(f"{text}wrist: {wrist}\n")
    command = [sys.executable, "-m", "pirig", "convert", "--config-dir", str(tmp_path), "camera=mine"]
    done = subprocess.run([*command, f"run.root={tmp_path}"], capture_output=True, text=True)
    said = "camera.wrist: False in a YAML, and the entries say True" if refused else "run `pirig demos`"
    assert done.returncode == 1 and said in done.stderr, done.stderr


def test_the_robot_has_a_wrist_camera_where_an_entry_looks_through_it():
    assert contract_of(compose([])).robot_uid == "panda"
    assert contract_of(compose(["camera=wrist"])).robot_uid == "panda_wristcam"
    only_hand = ["camera=wrist", "~camera.entries.base"]
    assert contract_of(compose(only_hand)).robot_uid == "panda_wristcam"
    assert contract_of(compose(["camera.entries.base.role=left_wrist_0_rgb"])).robot_uid == "panda"


@pytest.mark.parametrize("override", ["camera.nosuch=1", "train.nosuch=1", "train.steps=many", "task=nosuch"])
def test_unknown_keys_types_and_options_are_refused(override):
    with pytest.raises(Exception, match=r"nosuch|many"):
        compose([override])


def test_a_task_with_a_hidden_goal_has_it_in_its_state():
    assert compose(["task=pick_cube"]).state.name == "joints_goal"
    assert compose(["experiment=quickstart", "task=pick_cube"]).state.name == "joints_goal"
    forced = compose(["task=pick_cube", "state=joints", "allow_unobservable_goal=true"])
    assert forced.state.entries == ["qpos8"]
    assert compose(["task=stack_cube"]).state.name == "joints"


def test_contract_round_trip_and_disagreement(tmp_path):
    contract = contract_of(compose([]))
    contract.save(tmp_path)
    assert Contract.load(tmp_path) == contract
    other = contract_of(compose(["control.control_hz=10"]))
    with pytest.raises(ContractError, match=r"control_hz: 20 != 10"):
        require_equal(contract, other, our_name="the data set", their_name="this run")


def test_broken_contract_file_names_itself(tmp_path):
    (tmp_path / "contract.json").write_text('{"version": 1')
    with pytest.raises(ContractError, match=r"contract\.json"):
        Contract.load(tmp_path)


def test_help_path_imports_nothing_heavy():
    code = (
        "import sys; from pirig.cli import main; main(['pipeline', '--cfg', 'job']);"
        "bad = {'jax', 'torch', 'mani_skill', 'matplotlib'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_config_error_is_one_sentence_and_exit_status_1():
    done = subprocess.run([sys.executable, "-m", "pirig", "train", "horizon=50"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "choose a horizon" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "expected", "absent"),
    [
        ("pirig tr", "train", "demos"),
        ("pirig ", "pipeline", "task="),
        ("pirig train task=push_cu", "task=push_cube", "task=pick_cube"),
        ("pirig eval eval.epi", "eval.episodes=", "train"),
    ],
)
def test_tab_completion_knows_verbs_groups_and_keys(line, expected, absent):
    environ = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = [sys.executable, "-m", "pirig", "-sc", "query=bash"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    words = done.stdout.split()
    assert expected in words and absent not in words, done.stdout + done.stderr


def test_a_run_folder_gives_its_config_back(tmp_path):
    folder = tmp_path / "outputs" / "mine" / "one"
    config = compose([f"run.root={tmp_path / 'outputs'}", "run.experiment=mine", "run.name=one", "horizon=10"])
    open_run(config, places_of(config))
    found = of_run(folder, ["eval.episodes=7"])
    assert (found.horizon.steps, found.eval.episodes, found.run.name) == (10, 7, "one")
    with pytest.raises(ConfigError, match=r"horizon=20: a finished run keeps the groups"):
        of_run(folder, ["horizon=20"])
    with pytest.raises(ValueError, match=r"camera\.wrist=true: this is no key any more"):
        of_run(folder, ["camera.wrist=true"])
    with pytest.raises(ConfigError, match="episods"):
        of_run(folder, ["eval.episods=7"])
    with pytest.raises(ConfigError, match=r"expected a run folder with a config\.yaml"):
        of_run(tmp_path, [])


def test_what_an_older_version_saved_loads_and_goes_on(tmp_path):
    """A run's config.yaml and a sweep's record still have the keys that went."""
    config = compose([f"run.root={tmp_path}", "run.experiment=mine", "run.name=one", "camera=wrist"])
    folder = open_run(config, places_of(config))
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert "wrist" not in saved["camera"] and "includes_goal" not in saved["state"]
    saved["camera"]["wrist"], saved["state"]["includes_goal"] = True, False
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))
    assert of_run(folder, []) == config
    assert config_of({"config": saved}) == config
    resumed = dataclasses.replace(config, run=dataclasses.replace(config.run, mode=Mode.resume))
    assert open_run(resumed, places_of(resumed)) == folder  # "cannot be resumed" would name the keys


def test_an_older_run_that_trained_blind_says_so_when_it_is_opened(tmp_path):
    overrides = [f"run.root={tmp_path}", "run.experiment=mine", "run.name=one", "task=pick_cube", "state=joints"]
    config = compose([*overrides, "allow_unobservable_goal=true"])
    folder = open_run(config, places_of(config))
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    saved["state"]["includes_goal"], saved["allow_unobservable_goal"] = True, False
    (folder / "config.yaml").write_text(yaml.safe_dump(saved))
    with pytest.raises(ConfigError, match="no camera shows this task's goal"):
        of_run(folder, [])
    assert of_run(folder, ["allow_unobservable_goal=true"]).state.entries == ["qpos8"]


def test_multirun_with_hydras_basic_launcher_runs_each_point(tmp_path):
    command = [sys.executable, "-m", "pirig", "convert", "-m", "horizon=10,20", "hydra/launcher=basic"]
    done = subprocess.run([*command, f"run.root={tmp_path}"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("run `pirig demos`") == 2  # both ran, both lack demos


def test_the_help_of_a_verb_shows_the_groups_the_keys_and_how_to_complete_them():
    done = subprocess.run([sys.executable, "-m", "pirig", "eval", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "task: kinova, libero_10, libero_10_lan" in done.stdout and "  sim_backend: cpu" in done.stdout
    assert 'eval "$(pirig -sc install=bash)"  ' in done.stdout
