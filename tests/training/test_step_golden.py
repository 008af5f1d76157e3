"""Three steps of ours equal three of openpi's: loss, norms, EMA and parameters (recorded numbers)."""

from pathlib import Path

import jax
import numpy as np
import pytest

from pirig.config.schema import ScheduleConfig, TrainConfig
from pirig.models import pi0
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.training.optimizer import path_name
from pirig.training.schedules import make_schedule
from pirig.training.step import init_state, make_train_step

HERE = Path(__file__).parent
DATA = HERE.parent / "golden" / "data"
LANGUAGE = TransformerConfig(width=64, depth=4, mlp_dim=128, num_heads=8, num_kv_heads=1, head_dim=16)
CONFIG = ModelConfig(
    pi05=False,
    action_dim=32,
    action_horizon=4,
    max_token_len=16,
    vocab_size=512,
    image=SiglipConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_px=14),
    vlm=LANGUAGE,
    expert=LANGUAGE,
)
SETTINGS = TrainConfig(steps=10, ema=0.9, augment=False, batch_size=2)
SCHEDULE = make_schedule(ScheduleConfig(peak_lr=1e-3, final_lr=1e-4, warmup_steps=2), SETTINGS.steps)


def nested(flat):
    tree = {}
    for path in flat:
        *parents, leaf = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = np.asarray(flat[path])
    return tree


def recorded_batch():
    inputs = np.load(DATA / "model_inputs.npz")
    roles = [key.split("/")[1] for key in inputs if key.startswith("image/")]
    return {
        "images": {role: inputs[f"image/{role}"] for role in roles},
        "image_masks": {role: inputs[f"image_mask/{role}"] for role in roles},
        "state": inputs["state_ad32"],
        "tokens": inputs["tokenized_prompt"],
        "token_mask": inputs["tokenized_prompt_mask"],
        "actions": inputs["actions_ad32"],
    }


def test_draws_equal_openpi():
    golden = np.load(HERE / "golden" / "train_pi0_ad32.npz")
    for step in range(3):
        noise, time = pi0.draw_noise_and_time(jax.random.fold_in(jax.random.key(11), step), (2, 4, 32))
        np.testing.assert_allclose(noise, golden[f"noise{step}"], atol=1e-6)
        np.testing.assert_allclose(time, golden[f"time{step}"], atol=1e-6)


def test_three_steps_equal_openpi():
    golden = np.load(HERE / "golden" / "train_pi0_ad32.npz")
    before = nested(np.load(DATA / "model_pi0_ad32_params.npz"))
    state = init_state(before, SETTINGS, jax.random.key(11))
    step, batch = make_train_step(CONFIG, SETTINGS, SCHEDULE), recorded_batch()
    for number in range(3):
        state, metrics = step(state, batch)
        assert float(metrics["loss"]) == pytest.approx(golden["loss"][number], abs=5e-5)
        assert float(metrics["grad_norm"]) == pytest.approx(golden["grad_norm"][number], rel=1e-3)
        assert float(metrics["param_norm"]) == pytest.approx(golden["param_norm"][number], rel=1e-6)
    # Adam moves an element whose gradient is rounding noise by up to the learning rate, so leaves agree in the norm
    moved = jax.tree.map(lambda new, old: float(np.linalg.norm(np.asarray(new) - old)), state.params, before)
    for path, distance in jax.tree_util.tree_leaves_with_path(moved):
        name = path_name(path)
        if not name.endswith("key/bias"):  # its true gradient is zero: softmax ignores a shift of all keys
            assert distance == pytest.approx(float(golden[f"delta_norm/{name}"]), rel=2e-2, abs=1e-6), name
    for kind, tree in (("params", state.params), ("ema", state.ema)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            name = f"{kind}/{path_name(path)}"
            if name in golden:
                difference = np.abs(np.asarray(leaf) - golden[name])
                assert difference.mean() < 2e-6 and difference.max() < 3e-4, (name, difference.mean(), difference.max())
