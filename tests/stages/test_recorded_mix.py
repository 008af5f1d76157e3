"""Two recorded data sets with mappings of their own through one training: what is measured of each, with whose statistics."""

import json

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.policies.card import PolicyCard
from pirig.runs.progress import newest_checkpoint
from pirig.stages import pipeline
from tests.datasets.recorded_mix import mix_of_two

pytestmark = pytest.mark.slow  # compiles three programs
SMALL = (
    "weights=scratch train.steps=2 train.batch_size=4 train.log_every=1 train.validation_share=0.3 train.validation_frames=8 "
    "train.validate_every=1 train.save_every=2 schedule.warmup_steps=1 run.experiment=mix"
).split()


@pytest.mark.parametrize("rule", ["per_source", "joint"])
def test_each_data_set_is_measured_by_itself(tmp_path, rule, capsys):
    config = compose([*mix_of_two(tmp_path), *SMALL, f"mix.norm_stats={rule}"])
    assert pipeline.run(config) == 0
    places = places_of(config)
    rows = [json.loads(line) for line in (places.run / "metrics.jsonl").read_text().splitlines()]
    measured = [row for row in rows if "validation_loss" in row]
    assert len(measured) >= 2
    for row in measured:
        own = [row[f"validation_loss/{name}"] for name in ("bowls", "drawers")]
        assert min(own) < row["validation_loss"] < max(own) and row["action_error/bowls"] != row["action_error/drawers"]
    screen = capsys.readouterr().err
    assert all(f", {said}/{name} " in screen for said in ("loss", "action error") for name in ("bowls", "drawers"))
    card = PolicyCard.load(newest_checkpoint(places.run))
    assert len(card.held_out_episodes) == 2 and card.demo_tasks[-1] == "drawers" and card.norm_stats == rule
    assert set(json.loads(places.summary.read_text())["eval"]) >= {"held_out", "training"}
