"""An action chunk and the data set's episodes: single short ones are trained on, half of them may not be short."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pirig.config.load import compose
from pirig.training.start import require_long_enough


def test_single_episodes_may_be_shorter_than_a_chunk_half_of_them_may_not():
    config = compose(["experiment=smoke", "horizon=16"])
    require_long_enough(config, SimpleNamespace(lengths=[8, 40, 41], folder=Path("set")))
    with pytest.raises(ValueError, match=r"half of the 3 episodes of set have 15 steps or fewer.*at most 15"):
        require_long_enough(config, SimpleNamespace(lengths=[8, 15, 41], folder=Path("set")))
