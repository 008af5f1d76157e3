"""A loss of one's own is one file in training/auxiliary and one YAML in conf/losses; nothing else of the project is touched."""

import json
from pathlib import Path

import pytest

import pirig.training.auxiliary
from pirig.config.load import compose
from pirig.config.schema import TrainConfig
from pirig.training.loop import train
from pirig.training.losses import auxiliary_losses
from tests.training.conftest import MODEL, SCHEDULE, SmallDataset, small_pipeline

HERE = Path(__file__).parent / "loss"
WISH = [f"hydra.searchpath=[file://{HERE}/conf]", "losses=sides", "demos.labels=true"]


@pytest.fixture
def config(monkeypatch):
    """Of `pirig train losses=sides`; the file lies beside this test."""
    monkeypatch.setattr(pirig.training.auxiliary, "__path__", [*pirig.training.auxiliary.__path__, str(HERE)])
    return compose(WISH)


def test_it_is_minimised_logged_and_validated_by_name(config, tmp_path):
    data = SmallDataset()
    settings = TrainConfig(steps=40, batch_size=5, log_every=10, shift_px=1, validate_every=20, ema=0.0)
    losses = auxiliary_losses(config.losses, data.labels)
    options = {"schedule": SCHEDULE, "resume": False, "model": MODEL, "auxiliary": losses, "held_out": [1]}
    train(tmp_path / "run", settings, small_pipeline(), data, data.frames, **options)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["total_loss"] == pytest.approx(rows[-1]["loss"] + 0.5 * rows[-1]["sides_loss"], rel=1e-5)
    assert rows[-1]["sides_loss"] < 0.7 * rows[0]["sides_loss"]
    measured = [row for row in rows if "validation_loss" in row]
    assert len(measured) == 2 and all("validation_sides_wrong_share" in row for row in measured)


def test_its_settings_are_keys_and_a_kind_that_is_not_there_is_named(config):
    changed = compose([*WISH, "losses.sides.settings.plane_m=0.9"])
    assert auxiliary_losses(changed.losses, SmallDataset().labels)["sides"].loss.plane_m == 0.9
    changed.losses["sides"].kind = "side"
    with pytest.raises(ValueError, match=r"losses\.sides\.kind=side: expected one of labels, sides; a new one is"):
        auxiliary_losses(changed.losses, SmallDataset().labels)
