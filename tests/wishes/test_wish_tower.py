"""A stranger's tower is one file in models/towers and one YAML in conf/tower; nothing else of the project is touched."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pirig.models.towers
from pirig.config.load import compose
from pirig.models.flow import ModelInputs
from pirig.models.kinds import flow_model
from pirig.models.layout import flatten, param_count, param_shapes
from pirig.models.sizes import ModelConfig
from pirig.models.towers.door import known, tower_named
from pirig.policies.build import model_of
from pirig.policies.for_openpi import export, save_params
from pirig.training.flops import Shape, sample_cost
from pirig.training.memory import estimate
from pirig.training.schedules import make_schedule
from pirig.training.sharding import split_axis
from pirig.training.start import trainable_of
from pirig.training.step import init_state, make_train_step
from pirig.weights.load import load_params
from pirig.weights.match import WeightsError, require_fits, shapes_of

HERE = Path(__file__).parent / "tower"
ROOT = "tower/places"
WISH = [f"hydra.searchpath=[file://{HERE}/conf]", "tower=places", "model=pi0", "size.image_px=32", "train.batch_size=2"]


@pytest.fixture
def wish(monkeypatch):
    """The config and the model of `pirig train tower=places`; the file lies beside this test."""
    monkeypatch.setattr(pirig.models.towers, "__path__", [*pirig.models.towers.__path__, str(HERE)])
    config = compose(WISH)
    return config, model_of(config, vocab_size=64)


def batch_of(model, cameras=("base_0_rgb", "left_wrist_0_rgb")):
    draw = np.random.default_rng(0)
    px = model.image.image_px
    return {
        "images": {role: draw.integers(0, 256, (2, px, px, 3), dtype=np.uint8) for role in cameras},
        "image_masks": {role: np.ones(2, bool) for role in cameras},
        "state": draw.normal(size=(2, model.action_dim)).astype(np.float32),
        "tokens": draw.integers(0, 64, (2, 5), dtype=np.int32),
        "token_mask": np.ones((2, 5), bool),
        "actions": draw.normal(size=(2, model.action_horizon, model.action_dim)).astype(np.float32),
    }


def test_it_trains_samples_and_is_reckoned(wish):
    config, model = wish
    assert model.tower == "places" and model.image.heat_maps == 3 and "places" in known()
    params = flow_model().init_params(jax.random.key(0), model)
    paths = set(flatten(params))
    assert f"{ROOT}/stem/kernel" in paths and not [path for path in paths if path.startswith("PaliGemma/img")]
    before = flatten(jax.tree.map(np.asarray, params))  # the step takes the parameters' memory
    state, metrics = make_train_step(model, config.train, make_schedule(config.schedule, config.train.steps))(
        init_state(params, config.train, jax.random.key(1)), batch_of(model)
    )
    assert np.isfinite(float(metrics["loss"]))
    moved = flatten(state.params)
    for name in ("stem/kernel", "heat/kernel", "out/kernel"):
        assert np.abs(np.asarray(moved[f"{ROOT}/{name}"]) - before[f"{ROOT}/{name}"]).max() > 0, name
    few = jax.tree.map(jnp.asarray, batch_of(model))
    inputs = ModelInputs(**{name: few[name] for name in ModelInputs._fields})
    noise = jnp.ones((2, model.action_horizon, model.action_dim))
    sample = jax.jit(lambda tree, seen: flow_model().sample_actions(tree, model, seen, noise=noise, steps=2))
    other = inputs._replace(images={role: 255 - pixels for role, pixels in inputs.images.items()})
    actions, unlike = sample(state.params, inputs), sample(state.params, other)
    assert np.isfinite(actions).all() and float(jnp.abs(actions - unlike).max()) > 0
    one, two = (sample_cost(model, Shape(cameras, 5)) for cameras in (1, 2))
    assert two.tokens == one.tokens + 3 and two.forward > one.forward
    needs = [estimate(model, config.train, Shape(cameras, 5)) for cameras in (1, 2)]
    assert needs[0].activations < needs[1].activations and needs[0].params == 4 * param_count(model)


def test_its_leaves_are_frozen_and_split_as_others(wish):
    _, model = wish
    frozen = {path for path, trains in flatten(trainable_of(model, freeze_vision=True)).items() if not trains}
    assert frozen == {f"{ROOT}/{name}" for name in ("stem/kernel", "heat/kernel", "out/kernel", "out/bias")}
    assert split_axis(f"{ROOT}/out/kernel", (8, 128), 4, 2, min_bytes=64) == 1


def test_its_checkpoints_are_read_back_and_another_towers_are_refused(wish, tmp_path):
    _, model = wish
    assert ModelConfig.from_plain(json.loads(json.dumps(dataclasses.asdict(model)))) == model
    save_params(tmp_path / "params", flow_model().init_params(jax.random.key(0), model))
    assert set(flatten(load_params(tmp_path, model))) == set(flatten(param_shapes(model)))
    siglip = model_of(compose(["model=pi0", "tower=siglip", "size.image_px=32"]), vocab_size=64)
    with pytest.raises(WeightsError, match=r"nothing is below PaliGemma/img, .* another tower than tower=siglip"):
        load_params(tmp_path, siglip)
    with pytest.raises(WeightsError, match=rf"nothing is below {ROOT}, .* another tower than tower=places"):
        require_fits(shapes_of(param_shapes(siglip)), model, "weights")


def test_it_is_not_exported_to_openpi(wish, tmp_path):
    _, model = wish
    save_params(tmp_path / "params", {"x": np.zeros(1)})
    (tmp_path / "assets" / "pirig").mkdir(parents=True)
    named = {"normalization": "zscore", "state_in_prompt": False, "tokenizer": "BuiltinTokenizer"}
    record = {"model_config": dataclasses.asdict(model), **named}
    (tmp_path / "assets" / "pirig" / "policy.json").write_text(json.dumps(record))
    with pytest.raises(WeightsError, match=r"tower=places, which openpi does not have; serve it with `pirig serve`"):
        export(tmp_path, tmp_path / "out")


def test_an_unknown_tower_or_setting_is_named(wish):
    with pytest.raises(
        ValueError, match=r"tower=eyes: expected one of keypoints, places, siglip; a new one is models/towers/eyes"
    ):
        tower_named("eyes")
    config = compose([*WISH, "+tower.settings.cells=3"])
    with pytest.raises(
        ValueError, match=r"tower\.settings\.cells: tower=places has no such setting; it takes heat_maps"
    ):
        model_of(config, vocab_size=64)


def test_openpis_weights_and_trainer_need_openpis_tower(wish):
    with pytest.raises(ValueError, match="weights=pi0_base with tower=places: openpi's weights have SigLIP"):
        compose([*WISH, "weights=pi0_base", "size=full"])
    with pytest.raises(ValueError, match=r"trainer=openpi with tower=places: .* choose tower=siglip"):
        compose([*WISH, "trainer=openpi", "size=full"])


def test_a_record_without_a_tower_is_siglips():
    model = model_of(compose(["tower=siglip"]), vocab_size=64)
    plain = dataclasses.asdict(model)
    del plain["tower"]
    assert ModelConfig.from_plain(plain) == model and model.tower == "siglip"
