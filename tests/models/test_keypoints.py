"""tower=keypoints: places between cells, what it costs, every number type, several cameras, and no way to openpi."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pirig.config.load import compose
from pirig.models.leaves import draw, nest
from pirig.models.sizes import ModelConfig
from pirig.models.towers import keypoints
from pirig.models.towers.keypoints import TOWER, KeypointsConfig
from pirig.policies.build import model_of
from pirig.policies.for_openpi import export, save_params
from pirig.weights.match import WeightsError

SMALL = KeypointsConfig(image_px=32, channels=8, blocks=2, heat_maps=4, frequencies=2)
WIDTH = 16


def fresh(config, seed=0):
    specs = TOWER.leaves(config, WIDTH)
    return nest({path: draw(jax.random.key(seed), path, leaf) for path, leaf in specs.items()})


def painted(places_px, side_px=6.0, image_px=32):
    """White squares on grey, u8 [N, px, px, 3]; a border's pixel is as white as it is covered. `places_px` [N, 2]: (x, y) of
    the corners."""
    edges = np.arange(image_px)

    def covered(start):
        return np.clip(np.minimum(edges + 1, start[:, None] + side_px) - np.maximum(edges, start[:, None]), 0, 1)

    across, down = covered(places_px[:, 0]), covered(places_px[:, 1])
    return np.repeat((60 + 150 * down[:, :, None, None] * across[:, None, :, None]).round().astype(np.uint8), 3, axis=3)


def test_a_square_moved_by_a_part_of_a_pixel_is_read_back():
    """Fitted on 1500 places; a cell is 4 px, and a quarter of a pixel more is seen as a quarter more."""
    params, rng = fresh(SMALL), np.random.default_rng(0)
    head = jnp.zeros((SMALL.heat_maps * WIDTH, 2))

    def read(tree, images):
        tokens = TOWER.encode(tree["tower"], SMALL, {"base": images}, dtype=jnp.float32, remat=False)[0]
        return tokens.reshape(len(images), -1) @ tree["head"]

    def error(tree, images, places):
        return jnp.square(read(tree, images) - (places / 13.0 - 1.0)).mean()

    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, 300))
    tree = {"tower": params, "head": head}
    state = optimizer.init(tree)

    @jax.jit
    def step(tree, state, images, places):
        updates, state = optimizer.update(jax.grad(error)(tree, images, places), state)
        return optax.apply_updates(tree, updates), state

    for _ in range(300):
        places = rng.uniform(0, 26, (32, 2))
        tree, state = step(tree, state, painted(places), places)
    places = rng.uniform(6, 19, (64, 2))
    moved = places + [0.25, 0.0]
    before, after = ((np.asarray(read(tree, painted(at))) + 1.0) * 13.0 for at in (places, moved))
    step_px = (after - before).mean(axis=0)
    assert np.abs(before - places).mean() < 0.5, np.abs(before - places).mean()
    assert step_px[0] == pytest.approx(0.25, abs=0.08) and abs(step_px[1]) < 0.05, step_px
    assert ((after - before)[:, 0] > 0).mean() > 0.9


def test_the_expected_place_of_a_heat_map_lies_between_cells():
    """By construction: two cells as hot as each other, then one a little hotter."""
    config = dataclasses.replace(SMALL, heat_maps=1, channels=1, blocks=0)
    cells = np.full((2, config.side**2, 1), -40.0, np.float32)
    cells[:, 3 * config.side + 2], cells[:, 3 * config.side + 3] = 0.0, [[0.0], [0.1]]
    heat, places, _ = keypoints.look({"heat": {"kernel": jnp.ones((1, 1))}}, config, jnp.asarray(cells))
    np.testing.assert_allclose(heat.sum(axis=1), 1.0, rtol=1e-6)
    share = 1 / (1 + np.exp(-0.1))
    cell = 2 / config.side
    np.testing.assert_allclose(places[0, 0], [3 * cell - 1, 3.5 * cell - 1], atol=1e-6)
    np.testing.assert_allclose(places[1, 0], [2.5 * cell - 1 + share * cell, 3.5 * cell - 1], atol=1e-6)


def test_cameras_are_seen_apart_in_the_order_of_their_roles():
    params = fresh(SMALL)
    base, wrist = (np.random.default_rng(n).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8) for n in (0, 1))

    @jax.jit
    def encode(images):
        return TOWER.encode(params, SMALL, images, dtype=jnp.float32, remat=False)

    both = encode({"wrist": wrist, "base": base})
    assert both.shape == (2, 2, SMALL.heat_maps, WIDTH)
    for number, image in enumerate((base, wrist)):
        alone = encode({"x": image})
        np.testing.assert_allclose(both[number], alone[0], atol=1e-5)
    as_float = base.astype(np.float32) / 127.5 - 1.0
    np.testing.assert_allclose(both[0], encode({"x": as_float})[0], atol=1e-4)


def test_half_precision_and_recomputation_change_little_and_nothing():
    params = fresh(SMALL)
    images = {"base": np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)}

    def tokens(dtype, remat):
        return jax.jit(lambda tree: TOWER.encode(tree, SMALL, images, dtype=dtype, remat=remat))(params)

    whole, half = tokens(jnp.float32, False), tokens(jnp.bfloat16, False)
    assert half.dtype == jnp.bfloat16
    assert np.abs(np.asarray(half, np.float32) - whole).mean() < 0.05 * np.abs(whole).mean() + 0.02

    def gradient(remat):
        def total(tree):
            return jnp.square(TOWER.encode(tree, SMALL, images, dtype=jnp.float32, remat=remat)).sum()

        return jax.jit(jax.grad(total))(params)

    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4), *map(gradient, (0, 1)))


@pytest.mark.parametrize("config", [SMALL, keypoints.SIZES["tiny"]])
def test_flops_are_what_xla_counts(config):
    specs = TOWER.leaves(config, WIDTH)
    params = {path: jax.ShapeDtypeStruct(leaf.shape, jnp.float32) for path, leaf in specs.items()}
    images = {"x": jax.ShapeDtypeStruct((1, config.image_px, config.image_px, 3), jnp.uint8)}

    def encode(params, images):
        return TOWER.encode(params, config, images, dtype=jnp.float32, remat=False)

    counted = jax.jit(encode).lower(nest(params), images).cost_analysis()["flops"]
    told = TOWER.flops(config, WIDTH)
    assert set(told) - {""} == {path for path in specs if path.endswith("kernel")}
    assert sum(told.values()) == pytest.approx(counted, rel=0.25)


def test_what_is_kept_is_of_the_size_that_xla_keeps():
    """The residuals of the backward pass, by their shapes."""
    config = keypoints.SIZES["tiny"]
    specs = TOWER.leaves(config, WIDTH)
    params = nest({path: jnp.zeros(leaf.shape) for path, leaf in specs.items()})
    image = jnp.zeros((1, config.image_px, config.image_px, 3), jnp.uint8)

    def encode(params):
        return TOWER.encode(params, config, {"x": image}, dtype=jnp.float32, remat=False)

    kept = jax.tree.leaves(jax.eval_shape(lambda tree: jax.vjp(encode, tree)[1], params))
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in kept if leaf.size >= config.side**2)
    told = TOWER.activations(config, 4)
    assert 0.5 * held < told.kept < 2.0 * held, (held, told)
    assert told.inputs + told.largest < told.kept


def test_settings_have_domains_and_null_is_the_sizes():
    model = model_of(compose(["tower=keypoints", "model=pi0"]), vocab_size=64)
    assert model.tower == "keypoints" and model.image == keypoints.SIZES["tiny"]
    more = model_of(compose(["tower=keypoints", "tower.settings.channels=48", "size.image_px=64"]), vocab_size=64)
    assert more.image == dataclasses.replace(keypoints.SIZES["tiny"], channels=48, image_px=64)
    assert ModelConfig.from_plain(json.loads(json.dumps(dataclasses.asdict(more)))) == more
    with pytest.raises(ValueError, match=r"tower\.settings\.heat_maps=0: expected a whole number, at least 1"):
        model_of(compose(["tower=keypoints", "tower.settings.heat_maps=0"]), vocab_size=64)
    with pytest.raises(ValueError, match=r"tower\.settings\.blocks=1\.5: expected a whole number"):
        model_of(compose(["tower=keypoints", "tower.settings.blocks=1.5"]), vocab_size=64)
    with pytest.raises(ValueError, match=r"image_px=30 is not a multiple of tower\.settings\.cell_px=4"):
        model_of(compose(["tower=keypoints", "size.image_px=30"]), vocab_size=64)


def test_openpi_has_no_such_tower(tmp_path):
    model = model_of(compose(["tower=keypoints", "model=pi0"]), vocab_size=64)
    save_params(tmp_path / "params", {"x": np.zeros(1)})
    (tmp_path / "assets" / "pirig").mkdir(parents=True)
    named = {"normalization": "zscore", "state_in_prompt": False, "tokenizer": "BuiltinTokenizer"}
    record = json.dumps({"model_config": dataclasses.asdict(model), **named})
    (tmp_path / "assets" / "pirig" / "policy.json").write_text(record)
    with pytest.raises(WeightsError, match=r"tower=keypoints, which openpi does not have; serve it"):
        export(tmp_path, tmp_path / "out")
