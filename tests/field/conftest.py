import pytest

from pirig.config.load import compose
from tests.field.recordings import recording


@pytest.fixture(scope="session")
def kinova(tmp_path_factory):
    """The config of a healthy recording."""
    folder = recording(tmp_path_factory.mktemp("healthy") / "mugs")
    return compose(["task=kinova", "size=tiny", f"demos.path={folder}"])
