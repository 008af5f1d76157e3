"""What older code made stays readable, and means the same."""

import hashlib
from pathlib import Path

import numpy as np

from pirig.comparison.collect import collect
from pirig.contract import Contract
from pirig.datasets.lerobot.read import Dataset
from pirig.policies.policy import load_policy
from tests.datasets.episodes import make_contract, write_dataset

MADE = Path(__file__).parent / "made_at_8868f2d"
RUN = next((MADE / "outputs" / "smoke").iterdir())
CHECKPOINT = RUN / "checkpoints" / "10"


def test_an_old_checkpoint_gives_its_actions():
    with np.load(MADE / "inference.npz") as kept:
        images = {name.removeprefix("image_"): kept[name] for name in kept.files if name.startswith("image_")}
        policy = load_policy(CHECKPOINT, flow_steps=3, batch_size=2)
        np.testing.assert_allclose(policy.predict(images, kept["state"], kept["noise"]), kept["actions"], atol=1e-4)


def test_an_old_contract_keeps_its_hash():
    contract = Contract.load(RUN)
    text = (RUN / "contract.json").read_text().rstrip("\n")
    assert contract.hash == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert contract.hash.startswith("8d0e0a14")  # in the name of its data folder
    assert contract == Contract.load(CHECKPOINT / "assets" / "pirig")
    assert contract.scene.env_id == "PushCube-v1" and contract.simulator == "maniskill"


def test_an_old_data_set_reads_as_it_did():
    dataset = Dataset(MADE / "lerobot")
    with np.load(MADE / "dataset.npz") as kept:
        np.testing.assert_array_equal(dataset.state, kept["state"])
        np.testing.assert_array_equal(dataset.actions, kept["actions"])
        np.testing.assert_array_equal(dataset.image(dataset.roles[0], 5), kept["frame"])
        assert dataset.lengths == kept["lengths"].tolist() and dataset.seeds == kept["seeds"].tolist()


def test_compare_reads_an_old_run():
    (run,) = collect([MADE / "outputs" / "smoke"])
    (evaluation,) = run.evaluations
    assert {name: (count.k, count.n) for name, count in evaluation.rows.items()} == {
        "policy": (0, 2),
        "untrained": (0, 2),
        "oracle": (2, 2),
    }


def test_a_data_set_is_still_written_as_it_was(tmp_path):
    """Byte by byte: the data file, and the digest by which caches know it."""
    dataset = Dataset(write_dataset(tmp_path / "lerobot", make_contract(), [3, 4, 8]))
    assert dataset.content_hash == Dataset(MADE / "lerobot").content_hash
    (ours,), (theirs,) = (sorted(folder.glob("data/*/*.parquet")) for folder in (dataset.folder, MADE / "lerobot"))
    assert ours.read_bytes() == theirs.read_bytes()
