"""Settings that would be passed over, or mean nothing, are refused with words that are accepted."""

import re

import pytest

from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.foreign.trajectory import read_trajectory

EYES = ["experiment=eyes", "task=push_cube"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=push_cube", "task.prompt="], "task.prompt='' with task=push_cube: a policy is told what to do"),
        (["task=push_cube", "task.prompt='   '"], "a policy is told what to do; give task.prompt='Push the cube.'"),
        (["eval.server=foo"], "eval.server=foo: expected the address of a policy server; give eval.server=ws://"),
        (["eval.server=http://127.0.0.1:8000"], "expected the address of a policy server"),
        (["camera.entries.base.eye_m=[0.5,0,0.5]"], "camera.entries.base.eye_m without target_m: a camera is placed by both"),
        (["camera.entries.base.target_m=[0,0,0]"], "camera.entries.base.target_m without eye_m"),
        (["eval.server=ws://"], "eval.server=ws://: expected the address of a policy server"),
        (["camera.entries.base.eye_m=[0,0,1]", "camera.entries.base.target_m=[0,0,1]"], "target_m is its eye_m, so it looks nowhere"),
        (["run.name="], "run.name='': it names one folder inside the experiment's"),
        (["run.name=.."], "run.name='..': it names one folder"),
        (["run.name=a/b"], "run.name='a/b': it names one folder"),
        (["run.experiment=../../x"], "run.experiment='../../x': it names a folder inside run.root"),
        (["run.experiment=data"], "run.experiment='data': it names a folder inside run.root"),
        (["control.shader=raytrace"], "control.shader=raytrace: ManiSkill has no such shader"),
        (["control.backend=gpu"], "control.backend=gpu: ManiSkill has no such backend"),
        (["demos.first_seed=4294967290", "demos.count=10"], "its scenes may go up to 4294967329, and a seed is at most"),
        (["eval.first_seed=4294967290"], "eval.first_seed=4294967290: its scenes may go up to"),
        ([*EYES, "scenes.count=200000"], "choose scenes.first_seed=800000 scenes.count=100000."),
        ([*EYES, "scenes.first_seed=5"], "choose scenes.first_seed=800000 scenes.count="),
    ],
)  # fmt: skip
def test_it_is_refused_and_what_is_advised_is_accepted(words, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as refused:
        compose(words)
    advised = re.findall(
        r"((?:task|eval|camera|scenes|run|control|demos)\.[\w.]+=(?:'[^']*'|\[[^\]]*\]|[\w:/.]*\w))",
        str(refused.value).partition(";")[2],
    )
    names = {word.partition("=")[0] for word in advised}
    assert advised
    compose([*(word for word in words if word.partition("=")[0] not in names), *advised])


@pytest.mark.parametrize(
    "word", ["demos.leave_out=[1]", "demos.times=ignore", "data.angle_unit=deg", "data.gripper_max=100"]
)
def test_how_a_recording_is_read_means_nothing_to_a_simulator(word):
    with pytest.raises(ConfigError, match=rf"{word.partition('=')[0]} with robot=panda: .* passed over; leave it out"):
        compose(["task=push_cube", word])


def test_a_folder_is_no_trajectory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (".", str(tmp_path)):
        with pytest.raises(
            ValueError, match=r"demos\.path: .* it is not there as a file; expected a ManiSkill trajectory"
        ):
            read_trajectory(path)
