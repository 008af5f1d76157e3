"""The whole diagnosis of a real run, trained for ten steps: under-trained comes first, and the page shows why."""

import json

import numpy as np
import pytest

from pirig.diagnosis import figures, teacher_forced
from pirig.diagnosis.evidence import HandOver
from pirig.diagnosis.teacher_forced import SharedDriver
from pirig.evaluation.rollouts import Request
from pirig.stages.diagnose import main
from tests.diagnosis.conftest import errors

QUICK = [
    "train.validation_frames=16",
    "gates.replay_episodes=1",
    "gates.skip=[first_frame,demo_replay]",
    "eval.workers=1",
]


def test_a_run_of_ten_steps_is_under_trained(smoke_run, capsys, monkeypatch):
    monkeypatch.setattr(teacher_forced, "SHARES", (0.0, 0.5))  # half of the episodes, for the sake of time
    assert main([str(smoke_run.folder), *QUICK]) == 0
    screen = capsys.readouterr().out
    assert "== the error on training frames\n" in screen and "== shared episodes\n" in screen
    assert " 1. the policy is under-trained" in screen and "held no episodes out: 2 new demos" in screen
    page = (smoke_run.folder / "diagnosis" / "diagnosis.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "the policy is under-trained" in page and "switched off" in page and "PushCube-v1" in page
    evidence = json.loads((smoke_run.folder / "diagnosis" / "diagnosis.json").read_text())["evidence"]
    assert not any(evidence["gates"].values()) and evidence["contract_differences"] == []
    first = evidence["parity"][0]
    assert first["step"] == 0 and first["tokens"] == 0 and first["state"] < 1e-5
    assert first["pixels"]["base_0_rgb"][1] < 0.1
    demo_alone = next(row for row in evidence["hand_overs"] if (row["first"], row["share"]) == ("policy", 0.0))
    assert (demo_alone["k"], demo_alone["n"]) == (1, 1)
    assert demo_alone["sub_goals"] == {"reached": 1, "moved": 1, "placed": 1}
    assert np.shape(evidence["training"]["policy"]) == (16, 7)


def test_help_teaches_and_a_folder_that_is_no_run_is_named(tmp_path, capsys):
    assert main(["--help"]) == 0
    assert "diagnosis.html" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"expected a run folder with a config\.yaml"):
        main([str(tmp_path)])


class Constant:
    execute, max_requests = 4, 2

    def act(self, requests):
        return [np.full((self.execute, 1), 100.0 + request.scene) for request in requests]

    def forget(self, scene):
        """No chunk of it is underway."""


def played(driver: SharedDriver, seed: int, chunks: int = 4) -> list[float]:
    found = [driver.act([Request(seed, chunk, None)])[0] for chunk in range(chunks)]
    return [float(value) for chunk in found for value in np.ravel(chunk)]


def test_policy_and_demo_share_an_episode_at_the_step_asked_for():
    demos = {7: np.arange(10.0)[:, None]}
    assert played(SharedDriver(Constant(), demos, {7: 4}, "policy"), 7) == [107.0] * 4 + [4, 5, 6, 7, 8, 9]
    assert played(SharedDriver(Constant(), demos, {7: 0}, "policy"), 7) == list(range(10))
    assert played(SharedDriver(Constant(), demos, {7: 8}, "demo"), 7, 2) == [0, 1, 2, 3, 4, 5, 6, 7] + [107.0] * 4
    assert played(SharedDriver(Constant(), demos, {7: 0}, "demo"), 7, 2) == [107.0] * 8


def test_two_episodes_in_one_call_get_each_their_own():
    demos = {1: np.zeros((8, 1)), 2: np.ones((8, 1))}
    both = SharedDriver(Constant(), demos, {1: 0, 2: 8}, "policy")
    demo, policy = both.act([Request(1, 0, None), Request(2, 0, None)])
    assert (demo == 0).all() and (policy == 102.0).all()


def test_pictures_are_drawn_where_a_number_is_missing():
    part = figures.open_loop({"training": errors(0.3)}, ["dx"], None)
    assert part.startswith(b"\x89PNG")
    assert figures.hand_overs([HandOver("demo", 0.0, 0, 2)]).startswith(b"\x89PNG")
