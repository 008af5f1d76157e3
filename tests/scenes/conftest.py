import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.sim import door
from tests.scenes.painted_simulator import WORDS


@pytest.fixture
def contract(monkeypatch):
    monkeypatch.setattr(door, "IMPLEMENTATIONS", dict(door.IMPLEMENTATIONS))
    door.register("painted", "tests.scenes.painted_simulator:Painted")
    return contract_of(compose(WORDS))
