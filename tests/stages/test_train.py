"""What `pirig train` says before it starts."""

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.stages import warm_up
from pirig.stages.train import _scenes, _warn
from tests.datasets.npz_episodes import write_episodes


@pytest.mark.parametrize(
    ("words", "warned"),
    [(["model.state_in_prompt=false"], True), ([], False), (["model=pi0"], False)],
)
def test_pi05_without_its_state_is_warned_of(words, warned, capsys):
    _warn(compose(words))
    assert ("cannot feel" in capsys.readouterr().err) == warned


def test_what_needs_a_simulator_is_skipped_for_a_recorded_arm_and_said(tmp_path, capsys):
    words = [
        "task=kinova",
        "size=tiny",
        "weights=scratch",
        "tower=keypoints",
        "losses=labels",
        "tower.warm_up.steps=100",
    ]
    config = compose([*words, "train.scenes_per_batch=8", f"demos.path={write_episodes(tmp_path)}"])
    places = places_of(config)
    assert warm_up.make(config, places) is None and _scenes(config, places) == []
    said = capsys.readouterr().out
    for use in ("warm-up", "scenes beside the batches"):
        assert f"{use}: skipped, robot=kinova has no simulator that renders labelled scenes" in said
