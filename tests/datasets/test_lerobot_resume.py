"""kill -9 at any point of a conversion, then again: the same bytes as without the kill."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets.episodes import make_contract, write_dataset

SEEDS = range(5)
VICTIM = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.datasets.episodes import make_contract, write_dataset
{patch}
write_dataset(Path({folder!r}), make_contract(), range(5))
"""
KILL_IN = """
import {module} as module
original, calls = module.{name}, []
def dying(*arguments, **keywords):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **keywords)
module.{name} = dying
"""
POINTS = {
    "before the first part": ("pirig.datasets.lerobot.parts", "write", 1),
    "between two parts": ("pirig.datasets.lerobot.parts", "write", 4),
    "before a part gets its name": ("os", "replace", 3),
    "while the data files are laid out": ("pirig.datasets.lerobot.format", "index_columns", 3),
    "before the data set gets its name": ("pirig.datasets.lerobot.write", "_require_rows", 1),
    "before the parts are cleared": ("shutil", "rmtree", 2),  # the first clears the staging folder
}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return digests(write_dataset(tmp_path_factory.mktemp("undisturbed") / "lerobot", make_contract(), SEEDS))


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_resumed_is_byte_identical(tmp_path, undisturbed, point):
    folder = tmp_path / "lerobot"
    module, name, call = POINTS[point]
    code = VICTIM.format(
        root=str(Path(__file__).parents[2]),
        folder=str(folder),
        patch=KILL_IN.format(module=module, name=name, call=call),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if point == "before the parts are cleared":
        assert digests(folder) == undisturbed  # it was complete already
        return
    assert not folder.exists()
    write_dataset(folder, make_contract(), SEEDS)
    assert digests(folder) == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["lerobot"], "nothing else stays behind"


def test_parts_of_other_demos_are_not_taken(tmp_path, undisturbed):
    """Seeds 0 and 1 were converted from other episodes before; the same seeds with other numbers start again."""
    from pirig.datasets.lerobot.write import LeRobotWriter
    from pirig.transforms.state import build_state
    from tests.datasets.episodes import make_episode

    contract = make_contract()
    other = make_episode(7, contract)
    with LeRobotWriter(tmp_path / "lerobot", contract) as writer:
        images = {camera.role: other[f"image/{camera.role}"] for camera in contract.cameras}
        writer.add_episode(images, build_state(contract.state, other), other["actions"], seed=0)
    assert digests(write_dataset(tmp_path / "lerobot", contract, SEEDS)) == undisturbed
