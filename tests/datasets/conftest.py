from pathlib import Path

import pytest

from pirig.contract import Contract
from tests.datasets.episodes import make_contract, write_demos


@pytest.fixture
def contract() -> Contract:
    return make_contract()


@pytest.fixture
def demos(tmp_path: Path, contract: Contract) -> Path:
    return write_demos(tmp_path / "demos", contract, range(4))
