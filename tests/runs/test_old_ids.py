"""Runs keep the ids that they had: recorded with the version of 2026-11-25 (8868f2d), before any key went or moved.

A sweep finds its points by these ids, so another one would train again what is done. The rate of the Kinova recordings, which is
read from them since, is given, as they are not there, and so is the tower where size=tiny chose SigLIP then.
"""

import json
from pathlib import Path

import pytest

from pirig.config.load import compose
from pirig.runs.identity import run_id

RECORDED = json.loads((Path(__file__).parent / "old" / "run_ids.json").read_text())


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: " ".join(recorded["overrides"]) or "defaults")
def test_an_old_configs_id_is_unchanged(recorded):
    assert run_id(compose(recorded["overrides"])) == recorded["run_id"]
