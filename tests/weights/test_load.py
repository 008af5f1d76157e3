"""Checkpoints as openpi writes them, and ours; each thing that may not fit is one sentence."""

import dataclasses
import gc
import json
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from pirig.files.orbax import saved_tree
from pirig.models.layout import flatten, leaf_specs, nest
from pirig.models.lora import trainable_mask
from pirig.models.sizes import LoraConfig, ModelConfig, TransformerConfig, model_config
from pirig.models.towers.siglip import SiglipConfig
from pirig.stages.weights import main
from pirig.weights.load import load_params, merge_lora, require_supplied, start_from
from pirig.weights.match import WeightsError, differences, kind_of, named_config, size_of
from pirig.weights.save import save_params

GOLDEN = Path(__file__).parents[1] / "golden" / "data"
STACK = TransformerConfig(width=64, depth=4, mlp_dim=128, num_heads=8, num_kv_heads=1, head_dim=16)
IMAGE = SiglipConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_px=14)


def golden_config(pi05=True, lora=None):
    stack = dataclasses.replace(STACK, lora=lora)
    return ModelConfig(pi05, 32, 4, 16, 512, IMAGE, stack, stack)


def golden_params(variant="pi05_ad32"):
    with np.load(GOLDEN / f"model_{variant}_params.npz") as stored:
        return dict(stored)


def write_like_openpi(folder, flat, last="/value"):
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), {"params": nest({path + last: leaf for path, leaf in flat.items()})})
    return folder


def tiny_config(**changes):
    settings = {"pi05": True, "size": "tiny", "lora": False, "action_dim": 8, "action_horizon": 4}
    return model_config(**settings | {"max_token_len": 16, "image_px": 32} | changes)


def save_tiny(folder, **changes):
    flat = {path: np.full(leaf.shape, 0.5, np.float32) for path, leaf in leaf_specs(tiny_config(**changes)).items()}
    save_params(folder / "params", nest(flat))
    return folder


@pytest.fixture(scope="module")
def pi05_step(tmp_path_factory):
    """<folder>/30000/params with "value", as openpi leaves it."""
    folder = tmp_path_factory.mktemp("openpi")
    write_like_openpi(folder / "30000" / "params", golden_params())
    return folder / "30000"


def equal(tree, flat):
    ours = flatten(tree)
    return set(ours) == set(flat) and all(np.array_equal(ours[path], flat[path]) for path in flat)


def test_every_way_to_name_a_checkpoint(pi05_step):
    for path in (pi05_step / "params", pi05_step, pi05_step.parent):
        tree = load_params(path, golden_config())
        assert equal(tree, golden_params())
        assert {type(leaf) for leaf in flatten(tree).values()} == {np.ndarray}


@pytest.mark.parametrize("variant, config", [
    ("pi0_ad32", golden_config(pi05=False)),
    ("pi0_lora_ad32", golden_config(pi05=False, lora=LoraConfig(4, 8.0))),
])  # fmt: skip
def test_without_the_last_value(tmp_path, variant, config):
    write_like_openpi(tmp_path / "params", golden_params(variant), last="")
    assert equal(load_params(tmp_path, config), golden_params(variant))


def test_types_are_kept_or_cast(tmp_path):
    flat = {path: leaf.astype(jax.numpy.bfloat16) for path, leaf in golden_params().items()}
    write_like_openpi(tmp_path / "params", flat)
    kept, cast = (flatten(load_params(tmp_path, dtype=dtype)) for dtype in (None, "float32"))
    assert {leaf.dtype.name for leaf in kept.values()} == {"bfloat16"}
    assert {leaf.dtype.name for leaf in cast.values()} == {"float32"}
    assert all(np.array_equal(cast[path], flat[path].astype(np.float32)) for path in flat)


def test_written_here_has_openpis_exact_paths(tmp_path, pi05_step):
    save_params(tmp_path / "params", nest(golden_params()))
    trees = []
    for folder in (tmp_path / "params", pi05_step / "params"):
        tree = saved_tree(folder)
        trees.append({path: (tuple(leaf.shape), leaf.dtype) for path, leaf in flatten(tree).items()})
    assert trees[0] == trees[1]
    assert all(path.startswith("params/") and path.endswith("/value") for path in trees[0])
    assert equal(load_params(tmp_path), golden_params())


def test_the_other_kind_is_named(tmp_path, pi05_step):
    with pytest.raises(WeightsError, match="these are pi05 weights: action_time_mlp_in is missing; choose model=pi05"):
        load_params(pi05_step, golden_config(pi05=False))
    write_like_openpi(tmp_path / "params", golden_params("pi0_ad32"))
    with pytest.raises(WeightsError, match="these are pi0 weights: time_mlp_in is missing; choose model=pi0"):
        load_params(tmp_path, golden_config())


def test_another_model_is_named(tmp_path):
    write_like_openpi(tmp_path / "params", {"PaliGemma/llm/x": np.zeros(2)})
    with pytest.raises(WeightsError, match=r"neither pi0 nor pi05 weights.*found PaliGemma"):
        load_params(tmp_path, golden_config())


def real_shapes(name):
    leaves = json.loads((GOLDEN / "real_param_trees.json").read_text())[name]["leaves"]
    return {path: tuple(shape) for path, (shape, _) in leaves.items()}


def test_another_size_is_named(tmp_path):
    from pirig.weights.match import require_fits

    with pytest.raises(WeightsError) as caught:
        require_fits(real_shapes("pi05"), tiny_config(), "some/path")
    assert "action_in_proj/kernel: (32, 1024) != (8, 128)" in str(caught.value)
    assert "these are full weights, size=tiny was asked" in str(caught.value)
    full = model_config(
        pi05=True, size="full", lora=False, action_dim=32, action_horizon=50, max_token_len=200, image_px=224
    )
    require_fits(real_shapes("pi05"), full, "")
    with pytest.raises(WeightsError, match=r"action_dim 32, size\.action_dim=7 was asked"):
        require_fits(real_shapes("pi05"), dataclasses.replace(full, action_dim=7), "")


@pytest.mark.parametrize("name", ["pi0", "pi05", "pi0_lora", "pi05_lora", "pi0_lora_vlm_only", "pi0_lora_expert_only"])
def test_openpis_real_trees_are_known(name):
    shapes = real_shapes(name)
    assert (kind_of(shapes), size_of(shapes)) == (name.split("_")[0], "full")
    assert differences(shapes, named_config(shapes, "full")) == []


def test_missing_and_unknown_leaves_are_named(tmp_path):
    flat = golden_params()
    del flat["action_out_proj/bias"], flat["PaliGemma/img/head/bias"]
    write_like_openpi(tmp_path / "a" / "params", flat)
    with pytest.raises(WeightsError, match="PaliGemma/img/head/bias and action_out_proj/bias are missing"):
        load_params(tmp_path / "a", golden_config())
    write_like_openpi(tmp_path / "b" / "params", golden_params() | {"extra/kernel": np.zeros(3)})
    with pytest.raises(WeightsError, match="extra/kernel is unknown to the model"):
        load_params(tmp_path / "b", golden_config())
    write_like_openpi(tmp_path / "c" / "params", golden_params("pi0_lora_ad32"))
    with pytest.raises(WeightsError, match="these are LoRA weights: choose finetune=lora"):
        load_params(tmp_path / "c", golden_config(pi05=False))


def test_what_is_no_checkpoint_is_said(tmp_path):
    with pytest.raises(WeightsError, match="there is no such folder"):
        load_params(tmp_path / "nothing")
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(WeightsError, match=r"expected a checkpoint .* found readme\.txt"):
        load_params(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax's own threads, cut short
def test_damaged_arrays_are_said(tmp_path):
    folder = write_like_openpi(tmp_path / "params", golden_params())
    for path in folder.rglob("d/*"):  # where each array lies varies from write to write
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"cannot be read .*damaged|not readable as an Orbax"):
        load_params(tmp_path)
    gc.collect()


def test_lora_starts_from_a_full_checkpoint(tmp_path):
    write_like_openpi(tmp_path / "params", golden_params("pi0_ad32"))
    config, key = golden_config(pi05=False, lora=LoraConfig(4, 8.0)), jax.random.key(3)
    tree, supplied = start_from(tmp_path, config, key)
    flat, base = flatten(tree), golden_params("pi0_ad32")
    assert list(flat) == list(leaf_specs(config)) and supplied == set(base)
    assert all(np.array_equal(flat[path], base[path]) for path in base)
    low_rank = set(flat) - set(base)
    assert low_rank and all("lora" in path for path in low_rank)
    for path in low_rank:
        assert flat[path].shape == leaf_specs(config)[path].shape
        assert 0.008 < float(np.std(flat[path])) < 0.012  # openpi's: both factors normal, 0.01
    require_supplied(supplied, trainable_mask(config))


def test_lora_from_a_lora_checkpoint_keeps_its_branches(tmp_path):
    write_like_openpi(tmp_path / "params", golden_params("pi0_lora_ad32"))
    tree, supplied = start_from(tmp_path, golden_config(pi05=False, lora=LoraConfig(4, 8.0)), jax.random.key(0))
    assert equal(tree, golden_params("pi0_lora_ad32")) and supplied == set(flatten(tree))


def test_a_frozen_leaf_from_nowhere_is_an_error():
    config = golden_config(lora=LoraConfig(4, 8.0))
    mask = trainable_mask(config)
    frozen = {path for path, trained in flatten(mask).items() if not trained}
    require_supplied(frozen, mask)
    with pytest.raises(WeightsError, match="embedder/input_embedding is frozen and came from no checkpoint"):
        require_supplied(frozen - {"PaliGemma/llm/embedder/input_embedding"}, mask)
    with pytest.raises(WeightsError, match=f"and {len(frozen) - 1} more are frozen"):
        require_supplied((), mask)
    require_supplied((), trainable_mask(golden_config()))
    flat = golden_params()
    del flat["PaliGemma/llm/layers/mlp/linear"]
    with pytest.raises(WeightsError, match="mlp/linear is missing"):
        merge_lora(nest(flat), config, jax.random.key(0))


def verify(capsys, *arguments):
    status = main(["verify", *map(str, arguments)])
    return status, capsys.readouterr().out


def test_verify_a_whole_checkpoint(tmp_path, capsys):
    folder = save_tiny(tmp_path / "good")
    status, text = verify(capsys, folder)
    count = sum(int(np.prod(leaf.shape)) for leaf in leaf_specs(tiny_config()).values())
    assert status == 0
    assert "pi05 weights, size=tiny, compared with pi05, size=tiny" in text
    assert f"{count:,} parameters in 51 leaves: {count:,} float32" in text
    assert "ok    all 51 leaves are as expected, all numbers finite" in text
    status, text = verify(capsys, folder, "--model", "pi0", "--size", "tiny")
    assert status == 1 and "WRONG action_time_mlp_in/bias: missing" in text
    status, text = verify(capsys, folder, "--lora")
    assert status == 1 and "lora_a: missing" in text


def test_verify_names_nan_shapes_and_types(tmp_path, capsys):
    specs = leaf_specs(tiny_config(pi05=False))
    flat = {path: np.zeros(leaf.shape, np.float32) for path, leaf in specs.items()}
    flat["state_proj/kernel"][0, :3] = [np.nan, np.inf, -np.inf]
    flat["action_out_proj/bias"] = flat["action_out_proj/bias"].astype(np.int32)
    save_params(tmp_path / "nan" / "params", nest(flat))
    status, text = verify(capsys, tmp_path / "nan")
    assert status == 1
    assert "WRONG state_proj/kernel: 3 of 1,024 numbers are NaN or infinite" in text
    assert "WRONG action_out_proj/bias: int32, expected a float type" in text
    assert verify(capsys, tmp_path / "nan", "--no-numbers")[0] == 0
    flat["state_proj/bias"] = np.zeros(5, np.float32)
    del flat["state_proj/kernel"]
    save_params(tmp_path / "shape" / "params", nest(flat))
    status, text = verify(capsys, tmp_path / "shape")
    assert status == 1
    assert "WRONG state_proj/bias: (5,) != (128,)" in text and "WRONG state_proj/kernel: missing" in text


def test_verify_without_a_named_size(pi05_step, capsys):
    with pytest.raises(WeightsError, match="none of the named sizes"):
        verify(capsys, pi05_step)
    status, text = verify(capsys, pi05_step, "--size", "tiny")
    assert status == 1 and "more" in text


def test_help_teaches_and_wrong_calls_are_2(capsys):
    assert main(["--help"]) == 0
    assert "weights=local weights.path=FOLDER" in capsys.readouterr().out
    assert main(["fetch", "--help"]) == 0
    assert "PIRIG_WEIGHTS_URL" in capsys.readouterr().out
    assert main([]) == 2 and main(["verify"]) == 2
