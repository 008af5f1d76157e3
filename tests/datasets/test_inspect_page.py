"""`pirig inspect DATASET --html FILE`: what the page holds, of every kind of data set (how it looks: test_inspect_browser)."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from pirig.cli import main
from pirig.datasets.page import distributions
from tests.datasets.kinova_recordings import BASE, FPS, PROMPT, WRIST, make_recording, write_recording


def held(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.S)[1])


def picture(data):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.mark.parametrize(("version", "video"), [("v2.1", False), ("v3.0", False), ("v2.1", True), ("v3.0", True)])
def test_the_page_holds_what_the_data_set_holds(tmp_path, capsys, version, video):
    episodes = [make_recording(seed, steps) for seed, steps in enumerate((24, 20, 18))]
    folder = write_recording(tmp_path / "arm", version=version, video=video, episodes=episodes)
    page = tmp_path / "page.html"
    assert main(["inspect", str(folder), "--html", str(page)]) == 0
    assert "3 episodes" in capsys.readouterr().out
    told = held(page)
    assert (
        told["lengths"] == [24, 20, 18]
        and told["fps"] == FPS
        and [one["key"] for one in told["cameras"]] == [BASE, WRIST]
    )
    assert told["prompts"] == [{"text": PROMPT, "episodes": 3, "frames": 62}]
    assert [column["key"] for column in told["columns"]][:2] == ["observation.state", "action"]
    assert {one["gate"] for asked in told["gates"] for one in asked["said"]} >= {"complete"}
    for look, episode in zip(told["looks"], episodes, strict=True):
        for camera in (BASE, WRIST):
            for data, frame in zip(look["ends"][camera], (0, -1), strict=True):
                assert np.abs(picture(data).astype(int) - episode[camera][frame]).mean() < 12
    played = told["played"]
    assert played["episode"] == 1 and played["frames"] == list(range(20)) and len(played["pictures"][BASE]) == 20
    for column in played["columns"]:
        np.testing.assert_allclose(column["rows"], episodes[1][column["key"]], rtol=1e-3, atol=1e-6)
    for place, dim in enumerate(told["columns"][0]["dims"]):
        values = np.concatenate([one["observation.state"][:, place] for one in episodes]).astype(np.float64)
        found = [dim["min"], dim["max"], dim["mean"], dim["std"]]
        np.testing.assert_allclose(
            found, [values.min(), values.max(), values.mean(), values.std()], rtol=1e-4, atol=1e-5
        )
        assert sum(dim["counts"]) == 62
        assert len(base64.b64decode(dim["cells"])) == told["bins"]["time"] * told["bins"]["value"]


def test_a_sentence_cannot_leave_the_data(tmp_path):
    text = '</script><script>alert(1)</script><!--SCRIPT--> "quoted"'
    folder, page = write_recording(tmp_path / "arm", task=text), tmp_path / "page.html"
    assert main(["inspect", str(folder), "--html", str(page)]) == 0
    assert "alert(1)</script>" not in page.read_text() and held(page)["prompts"][0]["text"] == text


def test_what_is_not_a_page_is_not_replaced(tmp_path, capsys):
    folder, page = write_recording(tmp_path / "arm"), tmp_path / "notes.html"
    page.write_text("mine")
    assert main(["inspect", str(folder), "--html", str(page)]) == 1
    assert "no page of pirig inspect" in capsys.readouterr().err and page.read_text() == "mine"
    page.unlink()
    assert (
        main(["inspect", str(folder), "--html", str(page)]) == main(["inspect", str(folder), "--html", str(page)]) == 0
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--html"], "expected pirig inspect DATASET --html FILE"),
        (["a", "b", "--html", "page.html"], "expected pirig inspect DATASET --html FILE"),
        (["nowhere", "--html", "page.html"], "nowhere: there is nothing"),
        (["a", "--htm", "page.html"], "did you mean --html"),
    ],
)
def test_wrong_calls_are_said(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", *arguments]) == 1
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_is_worth_a_look():
    time = np.linspace(0, 1, 50)
    assert distributions.of([np.full(9, 2.0), np.full(3, 2.0)])["mark"] == "never changes"
    assert distributions.of([np.sign(time - 0.5 + 1e-9)])["mark"] == "two values"
    assert distributions.of([np.clip(3 * np.sin(9 * time), -1, 1)])["mark"].endswith("% at its ends")
    assert distributions.of([time, 2 * time])["mark"] == ""


def test_cells_say_where_a_number_is_at_which_time():
    told = distributions.of([np.linspace(0, 1, 400)] * 3)
    cells = np.frombuffer(base64.b64decode(told["cells"]), np.uint8).reshape(distributions.VALUES, distributions.TIMES)
    rising = cells.argmax(0)
    assert rising[0] == 0 and rising[-1] == distributions.VALUES - 1 and (np.diff(rising) >= 0).all()
