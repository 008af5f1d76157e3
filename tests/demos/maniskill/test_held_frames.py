"""Pictures of trajectory files of all ages, without a simulator."""

import h5py
import numpy as np
import pytest

from pirig.demos.manifest import read_episode, write_episode
from pirig.demos.maniskill import held_frames


@pytest.fixture
def group(tmp_path):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        yield file.create_group("traj_0")


FRAMES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
OPAQUE = np.concatenate([FRAMES, np.full((6, 4, 5, 1), 255, np.uint8)], -1)


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        ("obs/sensor_data/cam/rgb", FRAMES),
        ("obs/sensor_data/cam/Color", OPAQUE),
        ("obs/sensor_data/cam/Color", (OPAQUE / 255).astype(np.float32)),
        ("obs/sensor_data/cam/Color", (FRAMES / 255).astype(np.float64)),
        ("obs/image/cam/rgb", FRAMES),
        ("obs/image/cam/Color", (OPAQUE / 255).astype(np.float16)),
    ],
)
@pytest.mark.parametrize("slice_bytes", [1, 1e6])
def test_every_form_gives_the_same_pictures(group, tmp_path, monkeypatch, place, kept, slice_bytes):
    monkeypatch.setattr(held_frames, "SLICE_BYTES", slice_bytes)
    group[place] = kept
    array = held_frames.held(group, "cam")
    assert held_frames.why_not(array, 6, 4, 5) == ""
    taken = held_frames.taken(array, 5)
    assert taken.dtype == np.uint8
    np.testing.assert_array_equal(taken, FRAMES[:5])
    pieces = held_frames.pieces(array, 5, lambda error: error)
    group.file.flush()
    write_episode(tmp_path / "one.npz", {"image/x": pieces, "actions": np.ones((5, 7), np.float32)})
    written = read_episode(tmp_path / "one.npz")
    np.testing.assert_array_equal(written["image/x"], FRAMES[:5])
    np.savez(tmp_path / "numpys.npz", **{"image/x": FRAMES[:5], "actions": np.ones((5, 7), np.float32)})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "numpys.npz").read_bytes()


def test_what_are_no_such_pictures(group):
    assert held_frames.held(group, "cam") is None
    for place, kept in {"rgb": FRAMES.astype(np.int16), "Color": FRAMES[..., :2]}.items():
        group[f"obs/sensor_data/{place}/rgb"] = kept
        assert f"are {kept.dtype} {list(kept.shape)}" in held_frames.why_not(held_frames.held(group, place), 6, 4, 5)
    group["obs/sensor_data/cam/rgb"] = FRAMES
    assert "this run's uint8 or float [6, 8, 5, 3]" in held_frames.why_not(held_frames.held(group, "cam"), 6, 8, 5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1.5, -0.2, 255.0])
def test_a_float_that_is_no_colour_names_its_frame(group, wrong):
    kept = (FRAMES / 255).astype(np.float32)
    kept[4, 1, 2, 0] = wrong
    group["obs/sensor_data/cam/Color"] = kept
    with pytest.raises(ValueError, match=f"frame 4 holds {wrong:.4g}, a float picture is of 0 to 1"):
        held_frames.taken(held_frames.held(group, "cam"), 6)
