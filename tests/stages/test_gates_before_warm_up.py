"""`pirig pipeline` asks what could refuse the training before the tower's warm-up, which takes minutes."""

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.stages import pipeline


@pytest.mark.parametrize("refused", [True, False])
def test_what_a_gate_refuses_costs_no_warm_up(tmp_path, monkeypatch, refused):
    config = compose(["experiment=quickstart_eyes", f"run.root={tmp_path}"])
    places, calls = places_of(config), []

    def asked(*_):
        calls.append("prepare")
        if refused:
            raise ValueError("the gates before training found")

    for stage in (pipeline.demos, pipeline.convert, pipeline.stats):
        monkeypatch.setattr(stage, "make", lambda *_, stage=stage: calls.append(stage.__name__.rpartition(".")[2]))
    monkeypatch.setattr(pipeline.train, "prepare", asked)
    monkeypatch.setattr(pipeline.warm_up, "make", lambda *_: calls.append("warm_up"))

    def fitted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.train, "fit", fitted)
    places.run.mkdir(parents=True)
    with pytest.raises(ValueError if refused else KeyboardInterrupt):
        pipeline._run(config, places)
    assert calls == ["demos", "convert", "stats", "prepare", *([] if refused else ["warm_up"])]
