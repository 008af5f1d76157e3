"""A learning-rate schedule of one's own: a function in training/schedules.py and a YAML in conf/schedule, nothing else."""

import json

import jax.numpy as jnp
import pytest

from pirig.config.load import compose
from pirig.config.schema import TrainConfig
from pirig.training import schedules
from pirig.training.loop import train
from tests.training.conftest import MODEL, SmallDataset, small_pipeline

YAML = """
name: stairs
numbers: {height: 0.5}
"""


@pytest.fixture
def stairs(monkeypatch, tmp_path):
    """What a stranger adds: `stairs` between the curves, and stairs.yaml (here in a folder of users)."""
    monkeypatch.setattr(schedules, "CURVES", dict(schedules.CURVES))

    @schedules.curve
    def stairs(since, *, peak_lr, span_steps, height, steps_per_stair=2):
        stair = jnp.floor(jnp.minimum(since, span_steps) / steps_per_stair)
        return peak_lr * height**stair

    (tmp_path / "conf" / "schedule").mkdir(parents=True)
    (tmp_path / "conf" / "schedule" / "stairs.yaml").write_text(YAML)
    return f"hydra.searchpath=[file://{tmp_path}/conf]"


def test_a_training_follows_it(stairs, tmp_path):
    schedule = compose([stairs, "schedule=stairs", "schedule.peak_lr=1", "schedule.warmup_steps=1"]).schedule
    settings, data = TrainConfig(steps=6, batch_size=5, log_every=1, shift_px=1), SmallDataset()
    options = {"schedule": schedule, "resume": False, "model": MODEL}
    train(tmp_path / "run", settings, small_pipeline(), data, data.frames, **options)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["lr"] for row in rows] == pytest.approx([1 / 2, 1, 1, 0.5, 0.5, 0.25])


def test_its_numbers_are_keys_and_are_asked_for(stairs):
    config = compose([stairs, "schedule=stairs", "schedule.numbers.height=0.1", "+schedule.numbers.steps_per_stair=3"])
    assert float(schedules.make_schedule(config.schedule, 1000)(106)) == pytest.approx(2.5e-5 * 0.1**2)
    config.schedule.numbers["hight"] = config.schedule.numbers.pop("height")
    with pytest.raises(ValueError, match=r"numbers\.height has no value, schedule\.numbers\.hight is no number"):
        schedules.make_schedule(config.schedule, 1000)


def test_it_is_another_run(stairs):
    from pirig.runs.identity import run_id

    one, other = (run_id(compose([stairs, f"schedule={name}"])) for name in ("stairs", "cosine"))
    assert one != other
