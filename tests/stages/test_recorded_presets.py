"""Data sets of each preset's layout through the whole chain on a CPU: read in place, statistics, two steps, what is measured."""

import json

import pytest

from pirig.config.load import compose, of_run
from pirig.config.places import places_of, run_folder
from pirig.evaluation.target import is_measured
from pirig.gates.ask import reports
from pirig.stages import pipeline
from tests.datasets.kinova_recordings import write_recording
from tests.datasets.layouts import WORDS, episodes_of, settings_of

pytestmark = pytest.mark.slow  # compiles three programs
SMALL = (
    "size=tiny weights=scratch size.image_px=32 train.steps=2 train.batch_size=4 horizon=4 eval.execute=4 train.log_every=1 "
    "train.validation_share=0.3 train.validation_frames=8 train.validate_every=2 train.save_every=2 run.experiment=preset "
    "schedule.warmup_steps=1"
).split()


def run_of(name, tmp_path, *words):
    folder = write_recording(tmp_path / name, episodes=episodes_of(name), version="v3.0", **settings_of(name))
    given = [f"data={name}", f"demos.path={folder}", f"run.root={tmp_path / 'out'}"]
    config = compose([*given, *SMALL, *WORDS.get(name, []), *words])
    assert pipeline.run(config) == 0
    return config, json.loads((run_folder(config) / "summary.json").read_text())


@pytest.mark.parametrize("name", ["libero", "droid", "aloha"])
def test_a_recording_in_place_goes_from_inspection_to_the_action_error(name, tmp_path):
    config, summary = run_of(name, tmp_path)
    held_out = summary["eval"]["held_out"]
    assert list(held_out["error"]) == config.control.layout.split() and held_out["episodes"] == 1
    assert all(0 < error < 10 for error in held_out["error"].values())
    logged = [json.loads(line) for line in (run_folder(config) / "metrics.jsonl").read_text().splitlines()][-1]
    assert logged["validation_loss"] > 0 and logged["action_error"] > 0
    assert not list(places_of(config).data_set.rglob("*.parquet"))


def test_the_labs_set_is_trained_on_and_measured_in_the_simulator(tmp_path):
    """One episode of ManiSkill for the policy and one for what training started from; no demo can be replayed."""
    words = [
        "eval.episodes=1",
        "eval.untrained_episodes=1",
        "eval.oracle_episodes=5",
        "eval.videos=0",
        "eval.max_steps=20",
    ]
    config, summary = run_of("lab", tmp_path, *words)
    assert set(summary["eval"]["rates"] if "rates" in summary["eval"] else summary["eval"]) >= {"policy"}
    assert "oracle" not in json.dumps(summary["eval"])
    gates = json.loads((run_folder(config) / "gates.json").read_text())
    assert {"seeds", "first_frame", "demo_replay"} <= set(gates["impossible"])
    assert places_of(config).contract.control_hz == 10 and is_measured(config, places_of(config))
    again = of_run(run_folder(config), [])
    assert again.data == config.data
    said = {name for _, report in reports(run_folder(config)) for name, found in report.found.items() if found}
    assert said <= {"acts"}  # two steps teach nothing
