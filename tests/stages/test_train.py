"""What `pirig train` says before it starts."""

import pytest

from pirig.config.load import compose
from pirig.stages.train import _warn


@pytest.mark.parametrize(
    ("words", "warned"),
    [(["model.state_in_prompt=false"], True), ([], False), (["model=pi0"], False)],
)
def test_pi05_without_its_state_is_warned_of(words, warned, capsys):
    _warn(compose(words))
    assert ("cannot feel" in capsys.readouterr().err) == warned
