"""A sweep's points are told what runs alike took; where there is none, that is said."""

import json

import pytest
import yaml

from pirig.config.load import compose
from pirig.config.plain import as_plain
from pirig.sweeps.expected import expected, past_runs
from pirig.sweeps.points import Point

MACHINE = {"cores": 2, "memory_gb": 25.0, "gpus": []}


def point(*words):
    return Point(compose(["task=push_cube", "size=tiny", *words]), words)


def write(folder, config, *stages):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(as_plain(config)))
    (folder / "contract.json").write_text("{}")
    made = [{"ended": "done", "peak_gb": 2.0, "gpu_peak_gb": [], "hardware": MACHINE, **entry} for entry in stages]
    (folder / "stages.json").write_text(json.dumps(made))


@pytest.fixture
def past(tmp_path):
    base = point("train.steps=100", "eval.episodes=20").config
    train, evaluation = {"stage": "train", "minutes": 10, "steps": 100}, {"stage": "eval", "minutes": 6, "peak_gb": 3.0}
    write(tmp_path / "exp" / "one", base, train, evaluation)
    write(tmp_path / "exp" / "two", base, train | {"minutes": 14}, evaluation | {"ended": "failed"})
    write(tmp_path / "exp" / "small", point("size=small").config, train | {"minutes": 500})
    (tmp_path / "exp" / "torn").mkdir()
    (tmp_path / "exp" / "torn" / "config.yaml").write_text("a: [")
    (tmp_path / "exp" / "torn" / "contract.json").write_text("{}")
    (tmp_path / "exp" / "torn" / "stages.json").write_text(json.dumps([train | {"ended": "done", "peak_gb": 1}]))
    return past_runs(tmp_path)


def test_time_goes_with_steps_and_episodes(past):
    found = expected(point("train.steps=300", "eval.episodes=20", "train.seed=5"), ("train", "report"), past)
    assert found and found.hours == pytest.approx((3 * 12 + 6) / 60) and found.peak_gb == 3.0 and found.runs == 2
    assert found.text == "0.7 h, 3 GB" and found.hardware == "2 cores, 25 GB"
    only_eval = expected(point("eval.episodes=20"), ("eval",), past)
    assert only_eval and only_eval.hours == pytest.approx(0.1)


def test_another_batch_is_not_alike(past):
    assert expected(point("train.batch_size=7"), ("train",), past) is None
    assert expected(point(), ("train",), []) is None
