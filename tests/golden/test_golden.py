"""Our model equals openpi's recorded numbers, and the checker notices when it does not."""

import json
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest

from pirig.models.layout import leaf_specs
from tests.golden import check
from tests.golden.ours import Ours
from tests.golden.variant import read_arrays, read_batch, read_config, read_params

HERE = Path(__file__).parent
DATA, VARIANTS = HERE / "data", HERE / "variants"
INPUTS = DATA / "model_inputs.npz"


def arguments(variant="pi0_ad32", **changes):
    paths = {
        "config": VARIANTS / f"{variant}.json",
        "inputs": INPUTS,
        "params": DATA / f"model_{variant}_params.npz",
        "outputs": DATA / f"model_{variant}_outputs.npz",
    }
    return [part for name, path in (paths | changes).items() for part in (f"--{name}", str(path))]


def saved(path, arrays):
    np.savez(path, **arrays)
    return path


def some_outputs(folder, variant, names, **extra):
    recorded = np.load(DATA / f"model_{variant}_outputs.npz")
    return saved(folder / "outputs.npz", {name: recorded[name] for name in names} | extra)


@pytest.mark.parametrize("variant", ["pi0_ad32", "pi05_ad32", "pi0_lora_ad32"])
def test_equals_openpi(variant, capsys):
    assert check.main(arguments(variant)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "not checked  " in line] == ["prefix_only_out_absdiff"]
    assert len(lines) == len(np.load(DATA / f"model_{variant}_outputs.npz").files) + 1


def test_a_changed_parameter_is_noticed_and_unknown_arrays_are_listed(tmp_path, capsys):
    params = read_arrays(DATA / "model_pi0_ad32_params.npz")
    params["action_out_proj/bias"] = params["action_out_proj/bias"] + np.float32(1e-3)
    outputs = some_outputs(tmp_path, "pi0_ad32", ("loss", "v_t", "suffix_out"), strange=np.ones(3))
    assert check.main(arguments(params=saved(tmp_path / "params.npz", params), outputs=outputs)) == 1
    verdicts = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "OVER" in verdicts["loss"] and "OVER" in verdicts["v_t"]
    assert verdicts["suffix_out"].endswith("ok") and "not checked" in verdicts["strange"]


def test_nan_and_other_shapes_fail():
    assert check.Difference("x", check.largest(np.array([np.nan]), np.zeros(1)), 1.0).failed
    assert check.Difference("x", np.inf, 1.0).failed


def test_openpis_trailing_value_loads_and_a_misfit_is_named(tmp_path):
    config = read_config(VARIANTS / "pi0_ad32.json", 224)
    params = read_arrays(DATA / "model_pi0_ad32_params.npz")
    same = read_params(saved(tmp_path / "a.npz", {f"{name}/value": array for name, array in params.items()}), config)
    np.testing.assert_array_equal(same["state_proj"]["kernel"], params["state_proj/kernel"])
    del params["state_proj/kernel"]
    with pytest.raises(ValueError, match=r"state_proj/kernel: expected \(32, 64\), got None"):
        read_params(saved(tmp_path / "b.npz", params), config)


def merged(params, suffix, scale):
    """One stack's low-rank branches added to its matrices: attention times alpha / rank, the MLP as it is."""
    merged = dict(params)
    for name in params:
        owner = [part.endswith("_1") for part in name.split("/")]
        if not name.endswith("_a") or any(owner) != bool(suffix):
            continue
        down, up = merged.pop(name), merged.pop(name[:-1] + "b")
        if "attn_vec" in name:  # openpi adds up the heads between the two products: every head meets the same `up`
            up = up.sum(axis=1, keepdims=True)
        low = down @ up
        target, factor = (name[: -len("_lora_a")], 1.0) if "/mlp" in name else (name[: -len("lora_a")] + "w", scale)
        merged[target] = merged[target] + np.float32(factor) * low
    return merged


@pytest.mark.parametrize(("stack", "suffix"), [("vlm", ""), ("expert", "_1")])
def test_lora_on_one_side_equals_openpis_on_both(stack, suffix, tmp_path):
    """The other side's low-rank branch is merged into its matrices, which changes nothing but rounding."""
    variant = json.loads((VARIANTS / "pi0_lora_ad32.json").read_text())
    lora = variant[stack]["lora"]
    variant[stack]["lora"] = None
    (tmp_path / "variant.json").write_text(json.dumps(variant))
    params = merged(read_arrays(DATA / "model_pi0_lora_ad32_params.npz"), suffix, lora["alpha"] / lora["rank"])
    changes = {
        "config": tmp_path / "variant.json",
        "params": saved(tmp_path / "params.npz", params),
        "outputs": some_outputs(tmp_path, "pi0_lora_ad32", ("loss", "suffix_out", "v_t")),
    }
    assert check.main(arguments(**changes)) == 0


def test_frozen_bf16_base_is_near_the_float32_one(tmp_path, capsys):
    """openpi keeps frozen leaves in bfloat16; npz stores them as raw two-byte items, or rounded in float32."""
    config = read_config(VARIANTS / "pi0_lora_ad32.json", 224)
    params = read_arrays(DATA / "model_pi0_lora_ad32_params.npz")
    frozen = [name for name in params if name.startswith("PaliGemma/llm/") and "lora" not in name]
    stored = params | {name: params[name].astype(ml_dtypes.bfloat16) for name in frozen}
    rounded = stored | {name: stored[name].astype(np.float32) for name in frozen}
    paths = [saved(tmp_path / "a.npz", stored), saved(tmp_path / "b.npz", rounded)]
    trees = [read_params(path, config) for path in paths]
    jax.tree.map(np.testing.assert_array_equal, *trees)
    jax.tree.map(lambda one, other: np.testing.assert_equal(one.dtype, other.dtype), *trees)
    outputs = some_outputs(tmp_path, "pi0_lora_ad32", ("loss", "suffix_out", "v_t"))
    assert check.main(arguments("pi0_lora_ad32", params=paths[0], outputs=outputs)) == 0
    assert "OVER" not in capsys.readouterr().out


def test_other_widths_and_action_dims_run_through_the_checker(tmp_path):
    """Ours against ours: every name has a value in another shape (a narrower expert with LoRA, 7 actions, pi0.5)."""
    variant = json.loads((VARIANTS / "pi05_ad32.json").read_text())
    variant |= {"action_dim": 7, "expert": variant["expert"] | {"width": 32, "mlp_dim": 48, "depth": 2}}
    variant["vlm"]["depth"] = 2
    variant["expert"]["lora"] = {"rank": 2, "alpha": 6.0}
    variant["image"] |= {"patch": 56}
    (tmp_path / "variant.json").write_text(json.dumps(variant))
    config = read_config(tmp_path / "variant.json", 224)
    draw = np.random.default_rng(3)
    flat = {path: 0.2 * draw.normal(size=leaf.shape).astype(np.float32) for path, leaf in leaf_specs(config).items()}
    params = saved(tmp_path / "params.npz", flat)
    ours = Ours(read_params(params, config), config, read_batch(read_arrays(INPUTS), config))
    elsewhere = ("bf16", "grad", "prefix_only", "sample", "rng")  # programs of their own: minutes on a small machine
    names = [name for name in np.load(DATA / "model_pi05_ad32_outputs.npz").files if not name.startswith(elsewhere)]
    values = {name: ours.value(name) for name in [*names, "prefix_out"]}
    assert not [name for name, value in values.items() if value is None]
    assert values["v_t"].shape == (2, 4, 7) and values["adarms_cond"].shape == (2, 32)
    outputs = saved(tmp_path / "outputs.npz", values)
    assert check.main(arguments(config=tmp_path / "variant.json", params=params, outputs=outputs)) == 0
