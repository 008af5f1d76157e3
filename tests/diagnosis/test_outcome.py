"""Which evaluation of a run is diagnosed."""

import json
import os

from pirig.diagnosis.outcome import newest_evaluation
from pirig.evaluation.measured import RATES
from pirig.evaluation.target import SETTINGS


def test_the_newest_one_that_told_each_task_its_own_sentence(tmp_path):
    checkpoint = tmp_path / "checkpoints" / "8000"
    assert newest_evaluation(tmp_path, checkpoint) is None
    for age, (name, settings) in enumerate(
        [("step8000-c", {"exchange_prompts": True}), ("step8000-b", {}), ("step8000-a", {}), ("step2000-d", {})]
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / RATES).write_text("{}")
        (folder / SETTINGS).write_text(json.dumps(settings))
        os.utime(folder / RATES, (1000 - age, 1000 - age))
    assert newest_evaluation(tmp_path, checkpoint) == tmp_path / "step8000-b"
