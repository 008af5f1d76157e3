"""Transforms against openpi's recorded numbers."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.transforms import images
from pirig.transforms.images import pixels_digest, resize_with_pad, unit_range
from pirig.transforms.normalize import NormStats, load_norm_stats, normalize, save_norm_stats, unnormalize
from pirig.transforms.pad import pad_last
from pirig.transforms.state import build_state

GOLDEN_FOLDER = Path(__file__).parent / "golden"
GOLDEN = np.load(GOLDEN_FOLDER / "transforms.npz")
STATS = NormStats(*(GOLDEN[f"norm/{key}"] for key in ("mean", "std", "q01", "q99")))


@pytest.mark.parametrize("kind", ["zscore", "quantile"])
def test_normalize_equals_openpi(kind):
    x = GOLDEN["norm/x"]
    np.testing.assert_array_equal(normalize(x, STATS, kind), GOLDEN[f"norm/{kind}"])
    np.testing.assert_array_equal(normalize(x[..., :5], STATS, kind), GOLDEN[f"norm/{kind}_narrow5"])


@pytest.mark.parametrize("kind", ["zscore", "quantile"])
def test_unnormalize_equals_openpi(kind):
    wide = unnormalize(GOLDEN[f"norm/{kind}_wide10_in"], STATS, kind)
    np.testing.assert_allclose(wide, GOLDEN[f"norm/{kind}_wide10_unnorm"], rtol=1e-15)
    back = unnormalize(GOLDEN[f"norm/{kind}"], STATS, kind)
    np.testing.assert_allclose(back, GOLDEN[f"norm/{kind}_unnorm"], rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(back, GOLDEN["norm/x"], rtol=1e-9, atol=1e-9)


def test_normalize_of_float32_input_equals_openpi():
    np.testing.assert_array_equal(normalize(GOLDEN["norm/x_f32"], STATS, "zscore"), GOLDEN["norm/zscore_f32"])


def test_normalize_refuses_padded_numbers_and_unknown_kinds():
    with pytest.raises(ValueError, match="8 numbers to normalise but statistics of 7"):
        normalize(np.zeros((2, 8)), STATS, "zscore")
    with pytest.raises(ValueError, match="minmax"):
        normalize(np.zeros((2, 7)), STATS, "minmax")
    with pytest.raises(ValueError, match="lack"):
        normalize(np.zeros((2, 7)), NormStats(STATS.mean, STATS.std), "quantile")


@pytest.mark.parametrize("size", ["128x128", "100x200", "256x256", "480x640"])
def test_resize_equals_openpi(size):
    image = GOLDEN[f"resize/{size}_in"]
    expected = GOLDEN[f"resize/{size}_client_pil_u8"]
    np.testing.assert_array_equal(resize_with_pad(image, 224), expected)
    np.testing.assert_array_equal(resize_with_pad(np.stack([image, image])[None], 224)[0, 1], expected)


def test_resize_passes_equal_sizes_and_refuses_floats():
    image = np.zeros((224, 224, 3), np.uint8)
    assert resize_with_pad(image, 224) is image
    with pytest.raises((ValueError, TypeError), match=r"(?i)uint8"):  # TypeError: tests check annotations
        resize_with_pad(image.astype(np.float32), 64)


def test_unit_range_is_one_function_for_numpy_jax_and_traced_images():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    expected = images.astype(np.float32) / 255.0 * 2.0 - 1.0
    np.testing.assert_array_equal(unit_range(images), expected)
    np.testing.assert_array_equal(unit_range(jnp.asarray(images)), expected)
    np.testing.assert_allclose(jax.jit(unit_range)(jnp.asarray(images)), expected, atol=1e-6)
    assert unit_range(images).dtype == np.float32
    np.testing.assert_array_equal(unit_range(expected), expected)


def test_the_pixels_digest_follows_resize_range_and_size(monkeypatch):
    usual = pixels_digest(64, "pad")
    assert usual == pixels_digest(64, "pad") == "0314e3cf6a7dbc0e" and usual != pixels_digest(56, "pad")
    with monkeypatch.context() as patch:
        patch.setitem(images.RESIZES, "pad", lambda u8, px: resize_with_pad(u8[..., ::-1], px))
        assert pixels_digest(64, "pad") != usual
    with monkeypatch.context() as patch:
        patch.setattr(images, "unit_range", lambda u8: (u8 / 255.0).astype(np.float32))
        assert pixels_digest(64, "pad") != usual
    with pytest.raises(ValueError, match=r"size\.resize=stretch: expected one of pad"):
        pixels_digest(64, "stretch")


def test_pad_equals_openpi():
    for key, width in (("pad/state", 8), ("pad/actions", 7)):
        expected = GOLDEN[key]
        np.testing.assert_array_equal(pad_last(expected[..., :width], 32), expected)
        assert not expected[..., width:].any()
    with pytest.raises(ValueError, match="9 numbers do not fit into the model's 8"):
        pad_last(np.zeros(9), 8)


def test_norm_stats_file_round_trip(tmp_path):
    example = GOLDEN_FOLDER / "norm_stats_example.json"
    stats = load_norm_stats(example)
    assert set(stats) == {"state", "actions"}
    save_norm_stats(tmp_path / "norm_stats.json", stats)
    assert (tmp_path / "norm_stats.json").read_text().rstrip() == example.read_text().rstrip()
    assert load_norm_stats(GOLDEN_FOLDER / "norm_stats_no_quantiles.json")["state"].q01 is None


def test_norm_stats_bad_files(tmp_path):
    file = tmp_path / "norm_stats.json"
    with pytest.raises(ValueError, match="pirig stats"):
        load_norm_stats(file)
    file.write_text('{"state": {"mean": [0], "std": [1]}}')
    with pytest.raises(ValueError, match="norm_stats"):
        load_norm_stats(file)
    file.write_text('{"norm_stats": {"state": {"mean": [0, 1], "std": [1]}}}')
    with pytest.raises(ValueError, match="differ in length"):
        load_norm_stats(file)


def test_state_recipe():
    source = {"qpos": np.arange(18).reshape(2, 9), "goal_pos": np.full((2, 3), -1.0)}
    state = build_state(["qpos8", "goal_pos"], source)
    assert state.dtype == np.float32
    np.testing.assert_array_equal(state[1], [9, 10, 11, 12, 13, 14, 15, 16, -1, -1, -1])
    assert build_state(["qpos9"], {"qpos": np.zeros(9)}).shape == (9,)
    with pytest.raises(ValueError, match="goal_pos"):
        build_state(["goal_pos"], {"qpos": np.zeros(9)})
    with pytest.raises(ValueError, match="unknown"):
        build_state(["velocity"], {"qpos": np.zeros(9)})
