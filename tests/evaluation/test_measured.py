"""One result type for both loops: what is on disk comes back, from this version and from older ones."""

import json

import pytest

from pirig.comparison.success import SuccessRow
from pirig.config.schema import Config, EvalConfig, WeightsConfig
from pirig.evaluation.measured import ErrorRow, Measured, load

RATE = SuccessRow(k=25, n=40, low=0.47, high=0.76, k_at_end=20, sub_goals={"reached": 40}, first_seed=100_000)
ERROR = ErrorRow(64, 2, 0.5, None, {"j1": 0.25}, {"j1": 0.5}, {"j1": 0.1})


def asking(weights: str | None = None, **counts) -> Config:
    return Config(eval=EvalConfig(**counts), weights=WeightsConfig(name="x", path=weights))


@pytest.mark.parametrize(
    ("measured", "name"),
    [
        (Measured({"policy": RATE, "oracle": RATE, "untrained": RATE}), "rates.json"),
        (Measured({"training": ERROR}), "action_error.json"),
    ],
)
def test_what_was_saved_is_read_back_from_the_file_of_its_loop(tmp_path, measured, name):
    assert load(tmp_path) is None
    measured.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name] and load(tmp_path) == measured


def test_a_file_of_another_version_is_read(tmp_path):
    """Keys that it lacks have their defaults, keys that it has besides are passed over."""
    row = {"k": 1, "n": 40, "low": 0.0, "high": 0.2, "k_at_end": 1, "later": "unknown here"}
    (tmp_path / "rates.json").write_text(json.dumps(dict.fromkeys(("policy", "oracle", "untrained"), row)))
    measured = load(tmp_path)
    assert measured.rates["policy"] == SuccessRow(1, 40, 0.0, 0.2, 1) and measured.covers(asking())
    assert not measured.covers(asking(episodes=41)) and not measured.covers(asking(untrained_episodes=41))


def test_the_screen_names_the_interval_of_a_rate_and_that_an_error_is_none():
    rates = Measured({"policy": RATE, "oracle": RATE, "untrained": RATE}).lines()
    assert rates[0] == "policy     25/40  47.0% to 76.0% (Wilson 95 %)" and len(rates) == 3
    errors = Measured({"held_out": ERROR, "training": ERROR}).lines()
    assert errors[-1].endswith("Success is measured on the arm.") and "held-out frames of 2 episodes" in errors[0]
    assert "validation_share" not in "".join(errors)


def test_no_baseline_is_asked_for_by_a_count_of_zero():
    """It has no row, and its absence is no lack where none was asked for."""
    alone = Measured({"policy": RATE})
    assert alone.covers(asking(episodes=40, oracle_episodes=0, untrained_episodes=0)) and len(alone.lines()) == 1
    assert not alone.covers(asking(oracle_episodes=1, untrained_episodes=0))
    assert not alone.covers(asking(oracle_episodes=0, untrained_episodes=1))


def test_a_fine_tuning_stands_beside_the_weights_that_it_started_from():
    """Random parameters, as older versions measured them, are no answer to that."""
    old, new = (Measured({"policy": RATE, "oracle": RATE, name: RATE}) for name in ("untrained", "zero_shot"))
    assert new.covers(asking("weights/pi0_base")) and not old.covers(asking("weights/pi0_base"))
    assert old.covers(asking()) and not new.covers(asking())
