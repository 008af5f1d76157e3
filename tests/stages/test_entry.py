"""What a stage does before it touches anything."""

import os
from contextlib import suppress
from importlib import import_module

import pytest

from pirig.config.load import compose

FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"


@pytest.mark.parametrize("stage", ["pipeline", "train", "warm_up"])
def test_whoever_trains_tells_xla_its_memory_before_the_first_stage(stage, tmp_path, monkeypatch):
    """Its demos are not there, so each ends before it trains; a warm-up in a pipeline would have asked XLA by then."""
    monkeypatch.setenv(FRACTION, "0.1")
    words = ["experiment=quickstart", f"run.root={tmp_path}", "demos.path=not/there.h5", "train.memory_fraction=0.5"]
    with suppress(ValueError):
        import_module(f"pirig.stages.{stage}").run(compose(words))
    assert os.environ[FRACTION] == "0.5"
