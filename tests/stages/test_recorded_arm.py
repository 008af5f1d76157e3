"""The whole chain for an arm that is not simulated, on a CPU: recording, data set, stats, training, action error."""

import json

import pytest

from pirig.config.load import compose, of_run
from pirig.config.places import places_of, run_folder
from pirig.evaluation.target import is_measured
from pirig.gates.ask import reports
from pirig.stages import eval, pipeline
from tests.datasets.kinova_recordings import PROMPT, make_recording, write_recording

pytestmark = pytest.mark.slow  # compiles three programs
SMALL = ("size=tiny", "weights=scratch", "size.image_px=32", "train.steps=2", "horizon=8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(config, its finished run folder)"""
    top = tmp_path_factory.mktemp("recorded")
    folder = write_recording(top / "mugs", episodes=[make_recording(seed, steps=14) for seed in range(3)])
    config = compose(["experiment=kinova_smoke", *SMALL, f"demos.path={folder}", f"run.root={top / 'out'}"])
    assert pipeline.run(config) == 0
    return config, run_folder(config)


def test_the_report_is_the_action_error_on_episodes_held_out(run):
    config, folder = run
    summary = json.loads((folder / "summary.json").read_text())
    held_out, training = summary["eval"]["held_out"], summary["eval"]["training"]
    assert (held_out["episodes"], training["episodes"]) == (1, 2)
    assert list(held_out["error"]) == ["j1", "j2", "j3", "j4", "j5", "j6", "j7", "gripper"]
    repeating = held_out["error_of_repeating"]
    assert all(0 < repeating[joint] < held_out["error"][joint] for joint in ("j1", "j4"))  # two steps teach nothing
    assert held_out["of_mean_action"] > 0.3
    (found,) = folder.glob("eval/*/action_error.json")
    assert json.loads(found.read_text()) == summary["eval"] and is_measured(config, places_of(config))


def test_gates_ran_and_those_of_the_simulator_say_why_not(run):
    gates = json.loads((run[1] / "gates.json").read_text())
    assert gates["found"]["angles"] == [] and gates["found"]["images"] == []
    assert gates["skipped"] == [] and "real arm" in gates["impossible"]["demo_replay"]


def test_the_run_keeps_the_recordings_prompt_and_is_read_without_the_recording(run):
    folder = run[1]
    path = folder.parents[2] / "mugs"
    moved = path.rename(path.with_name("elsewhere"))
    try:
        again = of_run(folder, [])
        assert again.task.prompt == PROMPT and again.camera.entries["base"].width_px == 48
    finally:
        moved.rename(path)


def test_the_screen_says_that_success_is_measured_on_the_arm(run, capsys):
    assert eval.run(of_run(run[1], ["run.mode=resume"])) == 0
    shown = capsys.readouterr().out
    assert "Success is measured on the arm" in shown and "held-out frames of 1 episodes" in shown


def test_actions_relative_to_the_state_go_through_the_whole_chain(run):
    """On the same data set. Two steps teach nothing, so the policy is off by the spread of the differences, not of the targets,
    and `pirig doctor` is not deceived by the state that is added back."""
    plain = run[0]
    words = ["experiment=kinova_smoke", *SMALL, f"demos.path={plain.demos.path}", f"run.root={plain.run.root}"]
    config = compose([*words, "control.relative_to_state=[7,-1]", "run.name=relative"])
    assert pipeline.run(config) == 0
    folder = run_folder(config)
    summary = json.loads((folder / "summary.json").read_text())
    absolute = json.loads((run[1] / "summary.json").read_text())
    assert summary["contract_hash"] == absolute["contract_hash"]
    ours, theirs = (one["eval"]["held_out"]["error"] for one in (summary, absolute))
    joints = [f"j{number}" for number in range(1, 8)]
    assert sum(ours[joint] for joint in joints) < 0.7 * sum(theirs[joint] for joint in joints)
    assert ours["gripper"] == pytest.approx(theirs["gripper"], rel=0.05)  # absolute in both, nearly the same weights
    logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()][-1]
    assert 0 < logged["action_error_0"] < 2 * ours["j1"]  # validation's, in rad too
    (policy,) = folder.glob("checkpoints/*/assets/pirig/policy.json")
    assert json.loads(policy.read_text())["relative_to_state"] == [7, -1]
    assert json.loads((folder / "gates.json").read_text())["found"]["statistics"] == []
    asked = {name: said for _, report in reports(folder) for name, said in report.found.items()}
    assert asked["agreement"] == [] and "do not depend on what the policy sees" in asked["acts"][0]
    with pytest.raises(ValueError, match=r"relative_to_state=\[\].*was trained with \[7, -1\]"):
        eval.run(of_run(folder, ["control.relative_to_state=[]", "run.mode=resume"]))
