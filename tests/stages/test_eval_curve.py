"""Which checkpoints `run.checkpoint=` names, before any is measured."""

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.evaluation.target import target_of
from pirig.stages.eval import steps_asked


def asked(word, tmp_path, *words):
    config = compose(["experiment=quickstart", f"run.root={tmp_path}", f"run.checkpoint='{word}'", *words])
    places = places_of(config)
    for step in (500, 1000, 1900):
        (places.checkpoints / str(step)).mkdir(parents=True, exist_ok=True)
    return steps_asked(config, places)


def test_all_or_some_steps_are_a_curve_and_a_folder_is_none(tmp_path):
    assert asked("all", tmp_path) == [500, 1000, 1900]
    assert asked("1900,500", tmp_path) == [500, 1900]
    assert asked("/some/where/500", tmp_path) == [] == asked("", tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"run\.checkpoint=700: .* holds 500, 1000, 1900; train with train\.keep_every"
    ):
        asked("700", tmp_path)
    with pytest.raises(ValueError, match="needs a simulator and one task"):
        asked("all", tmp_path, "mix=push_pull")


def test_its_results_lie_apart_from_the_runs_own(tmp_path):
    config = compose(["experiment=quickstart", f"run.root={tmp_path}"])
    places = places_of(config)
    usual = target_of(config, places, places.checkpoints / "500", [60, 70])
    config.eval.first_seed = 900_000
    other = target_of(config, places, places.checkpoints / "500", [60, 70])
    assert usual.folder.parent == places.evaluations and other.folder.parent == places.choice
