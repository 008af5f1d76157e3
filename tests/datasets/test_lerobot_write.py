"""The writer and the reader: what goes in comes out, a bad episode does not go in."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pirig.contract import ContractError
from pirig.datasets.frame_cache import VERSION, frame_cache
from pirig.datasets.lerobot import format as lerobot_format
from pirig.datasets.lerobot import v30
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.write import Form, LeRobotWriter
from pirig.datasets.norm_stats import compute
from pirig.datasets.pictures import png
from pirig.transforms import images
from pirig.transforms.images import resize_with_pad
from pirig.transforms.state import build_state
from tests.datasets.episodes import make_contract, make_episode, write_dataset


@pytest.fixture
def dataset(tmp_path, contract):
    return Dataset(write_dataset(tmp_path / "lerobot", contract, range(4)))


def test_png_is_lossless_and_read_by_pillow():
    noise = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    for image in (noise, np.zeros((1, 1, 3), np.uint8), np.full((5, 3, 3), 255, np.uint8)):
        np.testing.assert_array_equal(png.decode(png.encode(image)), image)
    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(png.encode, [noise] * 8))) == 1


def test_png_passes_pillows_verification(tmp_path):
    (tmp_path / "x.png").write_bytes(png.encode(np.zeros((8, 9, 3), np.uint8)))
    with Image.open(tmp_path / "x.png") as image:
        assert (image.size, image.mode) == ((9, 8), "RGB")
        image.verify()


def test_what_was_written_is_read(dataset, contract):
    assert dataset.contract == contract
    assert dataset.seeds == [0, 1, 2, 3]
    assert dataset.lengths == [5, 6, 7, 8] and dataset.offsets == [0, 5, 11, 18]
    for number, seed in enumerate(dataset.seeds):
        episode, rows = make_episode(seed, contract), dataset.episode_rows(number)
        np.testing.assert_array_equal(dataset.actions[rows], episode["actions"])
        np.testing.assert_array_equal(dataset.state[rows], build_state(contract.state, episode))
        for role in dataset.roles:
            images = [dataset.image(role, index) for index in range(rows.start, rows.stop)]
            np.testing.assert_array_equal(images, episode[f"image/{role}"])


def test_info_and_index_columns(dataset):
    info = json.loads((dataset.folder / "meta/info.json").read_text())
    assert (info["codebase_version"], info["total_episodes"], info["total_frames"], info["fps"]) == ("v3.0", 4, 26, 20)
    table = pq.read_table(dataset.folder / "data/chunk-000/file-000.parquet")
    assert table["index"].to_pylist() == list(range(26))
    assert table["episode_index"].to_pylist() == [0] * 5 + [1] * 6 + [2] * 7 + [3] * 8
    np.testing.assert_allclose(table["timestamp"].to_numpy()[:5], np.arange(5) / 20, rtol=1e-6)
    described = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert described["action"] == {
        "feature": {"dtype": "float32", "_type": "Value"},
        "length": 7,
        "_type": "Sequence",
    }


def test_further_columns_are_kept_and_are_the_same_in_every_episode(tmp_path, contract):
    def written(folder, kinds):
        with LeRobotWriter(folder, contract) as writer:
            for seed, kind in enumerate(kinds):
                episode = make_episode(seed, contract)
                images = {camera.role: episode[f"image/{camera.role}"] for camera in contract.cameras}
                count = len(episode["actions"])
                columns = {"next.done": np.arange(count) == count - 1, "far": np.full((count, 2), seed, kind)}
                state = build_state(contract.state, episode)
                writer.add_episode(images, state, episode["actions"], seed=seed, columns=columns)
            writer.finish({})
        return Dataset(folder)

    dataset = written(tmp_path / "same", [np.float32, np.float32])
    assert np.flatnonzero(dataset.column("next.done")).tolist() == [4, 10] and dataset.succeeded == [0, 1]
    np.testing.assert_array_equal(dataset.column("far"), np.repeat([[0, 0], [1, 1]], dataset.lengths, axis=0))
    assert dataset.info["features"]["far"] == {"dtype": "float32", "shape": [2], "names": None}
    with pytest.raises(ValueError, match="no column 'near'"):
        dataset.column("near")
    with pytest.raises(ValueError, match=r"episode of seed 1: columns .* the first has"):
        written(tmp_path / "other", [np.float32, np.int64])


def test_large_data_is_split_into_files(tmp_path, contract, monkeypatch):
    monkeypatch.setattr(v30, "DATA_FILE_MB", 0.01)
    folder = write_dataset(tmp_path / "lerobot", contract, range(4))
    files = sorted(file.name for file in folder.glob("data/chunk-000/*.parquet"))
    assert len(files) > 1
    rows = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert rows[-1]["data/file_index"] == len(files) - 1
    dataset = Dataset(folder)
    episode = make_episode(3, contract)
    np.testing.assert_array_equal(dataset.image("base_0_rgb", 25), episode["image/base_0_rgb"][-1])
    np.testing.assert_array_equal(dataset.actions[18:], episode["actions"])


def test_stats_are_those_of_all_frames(dataset):
    stats = json.loads((dataset.folder / "meta/stats.json").read_text())
    np.testing.assert_allclose(stats["action"]["q01"], np.quantile(dataset.actions.astype(float), 0.01, axis=0))
    assert stats["action"]["count"] == [26]
    images = np.stack([dataset.image("base_0_rgb", i) for i in range(26)])[:, ::4, ::4] / 255.0
    entry = stats["observation.images.base_0_rgb"]
    np.testing.assert_allclose(np.ravel(entry["mean"]), images.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(np.ravel(entry["std"]), images.std((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(np.ravel(entry["max"]), images.max((0, 1, 2)))


def test_norm_stats_are_exact_and_decode_nothing(dataset, monkeypatch):
    monkeypatch.setattr(png, "decode", lambda data: pytest.fail("decoded an image"))
    stats = compute(dataset)
    rows = dataset.state.astype(np.float64)
    np.testing.assert_allclose(stats["state"].mean, rows.mean(0))
    np.testing.assert_allclose(stats["state"].std, rows.std(0))
    np.testing.assert_array_equal(stats["state"].q99, np.quantile(rows, 0.99, axis=0))
    assert stats["actions"].mean.shape == (7,)


def test_frame_cache_holds_the_resized_frames_and_is_built_once(dataset, tmp_path, monkeypatch):
    frames = frame_cache(dataset, 20, tmp_path / "cache")
    assert set(frames) == set(dataset.roles)
    for role, cached in frames.items():
        assert cached.shape == (26, 20, 20, 3) and not cached.flags.writeable
        np.testing.assert_array_equal(cached[17], resize_with_pad(dataset.image(role, 17), 20))
    monkeypatch.setattr(png, "decode", lambda data: pytest.fail("decoded again"))
    frame_cache(dataset, 20, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_frame_cache_of_another_resize_or_of_an_older_version_is_not_used(dataset, tmp_path, monkeypatch, capsys):
    before = frame_cache(dataset, 20, tmp_path)["base_0_rgb"]
    assert not capsys.readouterr().out
    monkeypatch.setitem(images.RESIZES, "pad", lambda u8, px: resize_with_pad(u8[..., ::-1, :], px))
    after = frame_cache(dataset, 20, tmp_path)["base_0_rgb"]
    assert (before[5] != after[5]).any()
    assert "made of another data set, by another resize or by an older version" in capsys.readouterr().out
    old_key = f"{VERSION} {dataset.content_hash} {dataset.contract.hash} 24"  # before 2026-11-27
    old = tmp_path / f"frames-24px-{hashlib.sha256(old_key.encode()).hexdigest()[:16]}"
    old.mkdir()
    np.save(old / "base_0_rgb.npy", np.zeros((26, 24, 24, 3), np.uint8))
    assert frame_cache(dataset, 24, tmp_path)["base_0_rgb"].any()
    assert f"{old.name} in {tmp_path}" in capsys.readouterr().out


def test_frame_cache_of_other_content_is_another_one(tmp_path, contract):
    caches = []
    for name, seeds in (("a", [0, 1]), ("b", [0, 2])):
        dataset = Dataset(write_dataset(tmp_path / name, contract, seeds))
        caches.append(frame_cache(dataset, 32, tmp_path)["base_0_rgb"])
    assert caches[0].shape != caches[1].shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["images"].pop("base_0_rgb"), "no images of camera base_0_rgb"),
        (lambda e: e.update(actions=e["actions"][:-1]), r"state \[5, 11\], expected \[4, 11\]"),
        (lambda e: e.update(state=e["state"][:, :8]), r"state \[5, 8\], expected \[5, 11\]"),
        (lambda e: e["images"].update(base_0_rgb=np.zeros((5, 32, 32, 3), np.float32)), "expected uint8"),
    ],
)
def test_an_episode_that_breaks_the_contract_is_refused(tmp_path, contract, change, message):
    episode = make_episode(0, contract)
    arguments = {
        "images": {c.role: episode[f"image/{c.role}"] for c in contract.cameras},
        "state": build_state(contract.state, episode),
        "actions": episode["actions"],
    }
    change(arguments)
    with LeRobotWriter(tmp_path / "d", contract) as writer, pytest.raises(ValueError, match=message):
        writer.add_episode(**arguments, seed=0)
    assert not list(tmp_path.iterdir())


def test_existing_folders_empty_sets_and_unknown_versions_are_refused(tmp_path, contract):
    with pytest.raises(FileExistsError, match="exists already"):
        LeRobotWriter(tmp_path, contract)
    with pytest.raises(ValueError, match=r"v3\.0"):
        LeRobotWriter(tmp_path / "d", contract, form=Form("v1.6"))
    with LeRobotWriter(tmp_path / "d", contract) as writer, pytest.raises(ValueError, match="no episodes"):
        writer.finish({})


def test_damaged_data_sets_are_refused(dataset, tmp_path):
    folder = dataset.folder
    info = (folder / "meta/info.json").read_text()
    (folder / "meta/info.json").write_text(info.replace('"v3.0"', '"v2.0"'))
    with pytest.raises(ValueError, match=r"version v2\.0"):
        Dataset(folder)
    (folder / "meta/info.json").write_text(info.replace('"total_frames": 26', '"total_frames": 27'))
    with pytest.raises(ValueError, match=r"26 frames, meta/info\.json says 27"):
        Dataset(folder)
    (folder / "meta/info.json").write_text(info)
    data = folder / "data/chunk-000/file-000.parquet"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(ValueError, match="half-written"):
        Dataset(folder)
    (folder / "meta/pirig/contract.json").unlink()
    with pytest.raises(ContractError, match="expected a contract"):
        Dataset(folder)
    with pytest.raises(ValueError, match="pirig convert"):
        Dataset(tmp_path / "nothing")


def test_features_name_every_number():
    table = lerobot_format.features(make_contract(), {})
    assert table["observation.state"]["names"][-1] == "goal_pos_2"
    assert table["action"]["names"] == ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"]
