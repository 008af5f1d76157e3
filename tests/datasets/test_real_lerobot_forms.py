"""Real lerobots read every frame of every form: 0.4.4 of v3.0, and 0.3.3, of openpi's age, of v2.1 (`make test-lerobot`)."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pirig.cli import main
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.write import Form
from pirig.datasets.pictures.film_write import ENCODERS
from tests.datasets.episodes import make_contract, write_dataset

pytestmark = pytest.mark.lerobot

ROOT = Path(__file__).parents[2]
OLD = ROOT / "build" / "lerobot-0.3.3"  # where `make test-lerobot` puts it


def read_by_lerobot(folder: Path, version: str, out: Path) -> dict[str, np.ndarray]:
    old = [str(OLD)] if version == "v2.1" else []
    assert not old or OLD.is_dir(), f"{OLD} is not there: make test-lerobot"
    path = os.pathsep.join([*old, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "tests.datasets.read_every_frame", str(folder), str(out)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as arrays:
        read = dict(arrays)
    assert read["version"] == version
    return read


@pytest.mark.parametrize("codec", ["", *ENCODERS])
@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_every_frame_is_read(tmp_path, version, codec):
    folder = write_dataset(tmp_path / "lerobot", make_contract(), range(4), form=Form(version, codec))
    require_read_as_ours(Dataset(folder), version, tmp_path / "read.npz")


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_what_pirig_dataset_makes_is_read(tmp_path, version):
    """Films that were cut out of one file and joined in another, of the other version."""
    other = {"v2.1": "v3.0", "v3.0": "v2.1"}[version]
    write_dataset(tmp_path / "all", make_contract(), range(4), form=Form(other, "h264"))
    words = [
        "dataset",
        "filter",
        str(tmp_path / "all"),
        str(tmp_path / "some"),
        "--leave-out",
        "0",
        "--format",
        version,
    ]
    assert main(words) == 0
    require_read_as_ours(Dataset(tmp_path / "some"), version, tmp_path / "read.npz")


def require_read_as_ours(dataset: Dataset, version: str, out: Path) -> None:
    read = read_by_lerobot(dataset.folder, version, out)
    np.testing.assert_array_equal(read["observation.state"], dataset.state)
    np.testing.assert_array_equal(read["action"], dataset.actions)
    np.testing.assert_array_equal(read["index"].ravel(), np.arange(dataset.frame_count))
    assert read["episode_index"].ravel().tolist() == [e for e, n in enumerate(dataset.lengths) for _ in range(n)]
    assert set(read["task"].tolist()) == {dataset.contract.prompt}
    np.testing.assert_allclose(read["stats/action"], dataset.actions.mean(0), atol=1e-5)
    for role in dataset.roles:
        theirs = (read[f"observation.images.{role}"].transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
        ours = np.stack([dataset.image(role, row) for row in range(dataset.frame_count)])
        np.testing.assert_array_equal(theirs, ours)
