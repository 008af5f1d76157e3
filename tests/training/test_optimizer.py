"""LR values and AdamW updates equal to those recorded from openpi; the freeze split."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pirig.config.schema import ScheduleConfig
from pirig.training.optimizer import cast_frozen, kernel_norm, lora_trainable, make_optimizer, merge, path_name, select
from pirig.training.schedules import make_schedule

GOLDEN = np.load(Path(__file__).parent / "golden" / "optimizer.npz")
SCHEDULES = {
    "cosine_default": dict(warmup_steps=1000, peak_lr=2.5e-5, decay_steps=30000, final_lr=2.5e-6),
    "cosine_w10000_p5e-5_d1e6_l5e-5": dict(warmup_steps=10000, peak_lr=5e-5, decay_steps=1_000_000, final_lr=5e-5),
    "cosine_w2_p1e-3_d10_l1e-4": dict(warmup_steps=2, peak_lr=1e-3, decay_steps=10, final_lr=1e-4),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rate_equals_openpi(name):
    schedule = make_schedule(ScheduleConfig(**SCHEDULES[name]), 10)
    ours = np.array([schedule(int(step)) for step in GOLDEN["lr/steps"]])
    np.testing.assert_allclose(ours, GOLDEN[f"lr/{name}"], rtol=1e-6)


def test_adamw_and_ema_equal_openpi():
    optimizer = make_optimizer(make_schedule(ScheduleConfig(**SCHEDULES["cosine_w2_p1e-3_d10_l1e-4"]), 10))
    params = {name: jnp.asarray(GOLDEN[f"adamw/p0_{name}"]) for name in ("w", "b")}
    state, ema = optimizer.init(params), params
    for step in range(5):
        grads = {name: jnp.asarray(GOLDEN[f"adamw/grad{step}_{name}"]) for name in params}
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        ema = jax.tree.map(lambda old, new: 0.99 * old + 0.01 * new, ema, params)
        for name in params:
            np.testing.assert_allclose(params[name], GOLDEN[f"adamw/p{step + 1}_{name}"], atol=1e-7)
            np.testing.assert_allclose(ema[name], GOLDEN[f"adamw/ema{step + 1}_{name}"], atol=1e-7)


def test_select_and_merge_are_inverse():
    tree = {"a": {"kernel": jnp.ones((2, 2)), "lora": jnp.zeros(3)}, "b": {"bias": jnp.ones(2)}}
    mask = {"a": {"kernel": False, "lora": True}, "b": {"bias": False}}
    trained, frozen = select(tree, mask), select(tree, mask, keep=False)
    assert list(trained) == ["a"] and list(trained["a"]) == ["lora"]
    assert jax.tree.structure(merge(trained, frozen)) == jax.tree.structure(tree)
    cast = cast_frozen(tree, mask)
    assert cast["b"]["bias"].dtype == jnp.bfloat16 and cast["a"]["lora"].dtype == jnp.float32
    with pytest.raises(ValueError, match="freeze mask"):
        select(tree, {"a": mask["a"]})


def test_kernel_norm_leaves_out_bias_scale_and_embeddings():
    tree = {
        "x": {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.ones((3, 3)), "scale": jnp.ones((2, 2))},
        "w": jnp.ones(9),
    }
    assert float(kernel_norm(tree)) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("name", "vlm", "expert"),
    [
        ("pi0_lora", 1, 1),
        ("pi05_lora", 1, 1),
        ("pi0_lora_vlm_only", 1, 0),
        ("pi0_lora_expert_only", 0, 1),
        ("pi0", 0, 0),
    ],
)
def test_freeze_set_equals_openpi(name, vlm, expert):
    trees = Path(__file__).parents[1] / "golden" / "data" / "real_param_trees.json"
    recorded = json.loads(trees.read_text())[name]
    tree: dict = {}
    for path in recorded["leaves"]:
        *parents, leaf = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = 0
    mask = lora_trainable(tree, vlm_lora=bool(vlm), expert_lora=bool(expert))
    frozen = [path_name(path) for path, trains in jax.tree_util.tree_leaves_with_path(mask) if not trains]
    assert sorted(frozen) == sorted(recorded["frozen"])
