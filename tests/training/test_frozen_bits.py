"""Frozen bfloat16 weights on a CPU: read as their bits, a stack gives the same and is never there in float32 as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.models.bits import as_bits, numbers_of
from pirig.models.gemma import embed_tokens, run_stack
from pirig.models.layout import flatten, leaf_specs, nest
from pirig.models.lora import trainable_mask
from pirig.models.sizes import LoraConfig, ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.training.optimizer import cast_frozen, kernel_norm, merge, select
from pirig.training.step import TrainStep, init_state, make_train_step

DEPTH = 7  # deep enough to be scanned
STACK = TransformerConfig(64, DEPTH, 512, num_heads=2, num_kv_heads=1, head_dim=32, lora=LoraConfig(2, 2.0))
IMAGE = SiglipConfig(width=32, depth=1, mlp_dim=64, num_heads=2, patch_px=14, image_px=28)
CONFIG = ModelConfig(False, 8, 4, 8, 256, IMAGE, STACK, STACK, compute_dtype="bfloat16", remat=True)


@pytest.fixture(scope="module")
def split():
    """(trained, frozen) of the language model's part."""
    mask = trainable_mask(CONFIG)
    draw = np.random.default_rng(0)
    params = {
        path: jnp.asarray(draw.normal(0, 0.1, leaf.shape), "float32") for path, leaf in leaf_specs(CONFIG).items()
    }
    params = cast_frozen(nest(params), mask)
    return tuple(select(params, mask, keep=keep)["PaliGemma"]["llm"] for keep in (True, False))


def loss(trained, frozen):
    llm, tokens = merge(trained, frozen), jnp.arange(6)[None] * 40
    x = embed_tokens(llm, tokens, jnp.bfloat16)[:, None]
    mask, positions = jnp.ones((1, 1, 6), bool), jnp.arange(6)[None]
    out, _ = run_stack(llm, STACK, "", x, positions=positions, mask=mask, remat=True)
    return jnp.square(out.astype(jnp.float32)).mean()


def test_bits_give_the_same_to_the_last_bit_and_take_less(split):
    trained, frozen = split
    program = jax.jit(jax.value_and_grad(loss))
    numbers, bits = (program.lower(trained, tree).compile() for tree in (frozen, as_bits(frozen)))
    left, right = numbers(trained, frozen), bits(trained, as_bits(frozen))
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert float(jnp.abs(left[1]["layers"]["mlp"]["linear_lora_a"]).max()) > 0
    of_stack = sum(leaf.size for path, leaf in flatten(frozen).items() if "layers/" in path and "_1" not in path)
    taken = [compiled.memory_analysis().temp_size_in_bytes for compiled in (numbers, bits)]
    assert taken[0] > 4 * of_stack > 2 * taken[1]  # in float32 the stack takes 4 bytes a number


def test_bits_share_the_memory_and_are_the_numbers():
    leaf = jax.random.normal(jax.random.key(0), (3, 64)).astype(jnp.bfloat16)
    tree = as_bits({"layers": {"w": leaf, "scale": leaf[0]}, "head": leaf, "input_embedding": leaf.astype("float32")})
    held = tree["layers"]["w"]
    assert held.dtype == jnp.uint16 and held.unsafe_buffer_pointer() == leaf.unsafe_buffer_pointer()
    assert np.array_equal(numbers_of(held), leaf)
    assert tree["head"] is leaf and tree["layers"]["scale"].dtype == jnp.bfloat16
    assert tree["input_embedding"].dtype == jnp.float32
    assert as_bits(jax.eval_shape(lambda: {"layers": {"w": leaf}}))["layers"]["w"].dtype == jnp.uint16
    np.testing.assert_allclose(kernel_norm(tree), kernel_norm({"layers": {"w": leaf}, "head": leaf}), rtol=1e-5)


def test_frozen_leaves_stay_where_they_lie_and_trained_ones_move(small):
    mask = {"in": {"kernel": False, "bias": True}, "out": {"kernel": True, "bias": True}}
    params = cast_frozen(small.model.init_params(jax.random.key(0), small.pipeline.model_config), mask)
    state = init_state(params, small.settings, jax.random.key(1), mask)
    lies = state.params["in"]["kernel"].unsafe_buffer_pointer()

    def moved(state, frozen, batch):
        assert set(state.params["in"]) == {"bias"} and set(frozen) == {"in"}
        return jax.tree.map(lambda leaf: leaf if leaf.dtype != jnp.float32 else leaf + 1, state), {}

    after, _ = TrainStep(jax.jit(moved, donate_argnums=0), mask)(state, {})
    assert after.params["in"]["kernel"].unsafe_buffer_pointer() == lies
    assert after.params["in"]["kernel"].dtype == jnp.bfloat16
    assert float(after.params["out"]["bias"][0]) == 1.0
    assert isinstance(make_train_step(None, small.settings, lambda step: step, trainable=mask), TrainStep)
