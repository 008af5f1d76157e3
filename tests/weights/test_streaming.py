"""Weights are read leaf by leaf into type and place, checked on the way, and refused where there is no room for them."""

import json

import jax
import numpy as np
import pytest

from benchmarks.random_checkpoint import config_of, write
from pirig.files import checksums
from pirig.models.layout import flatten, leaf_specs, nest
from pirig.runs import hardware
from pirig.weights import load
from pirig.weights.load import arrays_in_parts, load_params, on_device, start_from, stored_leaves
from pirig.weights.match import WeightsError
from pirig.weights.save import save_params

CONFIG = config_of("pi0", "tiny")


@pytest.fixture(scope="module")
def random(tmp_path_factory):
    """A checkpoint that benchmarks/random_checkpoint.py wrote."""
    folder = tmp_path_factory.mktemp("random")
    write(folder, CONFIG, "bfloat16", 0)
    return folder


def saved(folder, **changes):
    """Every leaf 0.5, but for `changes` by the last element of a leaf's path."""
    flat = {path: np.full(leaf.shape, 0.5, np.float32) for path, leaf in leaf_specs(CONFIG).items()}
    for path, change in changes.items():
        change(flat[path.replace("__", "/")])
    save_params(folder / "params", nest(flat))
    return folder


def test_a_random_checkpoint_is_a_whole_one_of_the_model(random):
    flat = flatten(load_params(random, CONFIG))
    assert {path: leaf.shape for path, leaf in flat.items()} == {
        p: leaf.shape for p, leaf in leaf_specs(CONFIG).items()
    }
    kernel = flat["PaliGemma/llm/layers/mlp/linear"].astype(np.float32)
    assert abs(kernel.std() / leaf_specs(CONFIG)["PaliGemma/llm/layers/mlp/linear"].scale - 1) < 0.05


def test_each_leaf_goes_into_its_type_and_place(random):
    kinds = {path: "float32" if "action" in path else "bfloat16" for path in leaf_specs(CONFIG)}
    tree, _ = start_from(random, CONFIG, jax.random.key(0), kinds.get, on_device)
    host = flatten(load_params(random, CONFIG))
    for path, leaf in flatten(tree).items():
        assert isinstance(leaf, jax.Array) and leaf.dtype == kinds[path]
        np.testing.assert_array_equal(np.asarray(leaf, np.float32), host[path].astype(np.float32))


def test_large_leaves_come_alone_and_the_largest_first(random, monkeypatch):
    monkeypatch.setattr(load, "PART_BYTES", 100_000)
    stored = stored_leaves(random / "params")
    parts = list(arrays_in_parts(random / "params", stored))
    sizes = [sum(array.nbytes for array in part.values()) for part in parts]
    assert {path for part in parts for path in part} == set(stored)
    alone = [size for part, size in zip(parts, sizes, strict=True) if len(part) == 1 and size >= 100_000]
    assert len(alone) > 2 and alone == sorted(alone, reverse=True) == sizes[: len(alone)]


def test_no_room_is_said_before_a_byte_is_read(random, monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: 1_000_000)
    monkeypatch.setattr(load, "arrays_in_parts", None)
    with pytest.raises(WeightsError, match=r"takes 0\.0 GB of memory, 0\.0 GB are free of .*larger machine"):
        load_params(random, CONFIG)


BAD = {
    "nan": (
        "state_proj__kernel",
        lambda leaf: leaf.__setitem__((0, 0), np.nan),
        "state_proj/kernel are NaN or infinite",
    ),
    "inf": ("action_out_proj__bias", lambda leaf: leaf.__setitem__(3, -np.inf), "action_out_proj/bias are NaN"),
    "large": (
        "state_proj__bias",
        lambda leaf: leaf.__setitem__(0, -3e30),
        r"state_proj/bias is 3e\+30, expected weights",
    ),
    "zero": ("action_in_proj__kernel", lambda leaf: leaf.fill(0), "action_in_proj/kernel is zero throughout"),
    "layer": ("PaliGemma__llm__layers__mlp__linear", lambda leaf: leaf[2].fill(0), "layer 2 of .*mlp/linear is zero"),
}


@pytest.mark.parametrize("path, change, words", BAD.values(), ids=BAD)
def test_numbers_that_are_no_weights_are_named(tmp_path, path, change, words):
    with pytest.raises(WeightsError, match=words):
        load_params(saved(tmp_path, **{path: change}), CONFIG)


def test_what_starts_at_zero_may_be_zero(tmp_path):
    load_params(saved(tmp_path, PaliGemma__img__head__kernel=lambda leaf: leaf.fill(0)), CONFIG)


def test_a_file_of_ours_that_changed_is_named(tmp_path):
    saved(tmp_path)
    checksums.record(tmp_path, ("params",))
    load_params(tmp_path, CONFIG)
    file = max((tmp_path / "params").rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{file.name} is not what was written.*fetch or copy it again"):
        load_params(tmp_path, CONFIG)
    file.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match=r"bytes, [\d,]+ were written"):
        load_params(tmp_path, CONFIG)
    file.unlink()
    with pytest.raises(WeightsError, match=r"is missing|not readable"):
        load_params(tmp_path, CONFIG)
    assert all(name.startswith("params/") for name in json.loads((tmp_path / "checksums.json").read_text()))
