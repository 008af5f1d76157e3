"""The real openpi beside ours in one process: loss, gradients, samples, train steps, checkpoints (`make test-openpi`)."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.places import ASSETS
from pirig.config.schema import ScheduleConfig, TrainConfig
from pirig.contract import Camera
from pirig.models import pi0
from pirig.models.layout import flatten, nest
from pirig.models.lora import trainable_mask
from pirig.models.sizes import LoraConfig, ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.policies.for_openpi import export
from pirig.policies.policy import load_policy
from pirig.training.optimizer import cast_frozen
from pirig.training.schedules import make_schedule
from pirig.training.step import init_state, make_train_step
from pirig.transforms.normalize import NormStats, load_norm_stats, save_norm_stats
from pirig.weights.load import load_params
from pirig.weights.save import save_params
from tests.policies.test_for_openpi import CONTRACT
from tests.real_openpi import (
    import_openpi,
    our_inputs,
    random_params,
    sized,
    small_batch,
    their_config,
    their_observation,
)

pytestmark = pytest.mark.openpi
TOLERANCE, BF16_TOLERANCE, GRADIENT_TOLERANCE = 5e-5, 3e-2, 1e-3
SENTENCEPIECE = Path(__file__).parents[1] / "golden" / "data" / "tiny_sp.model"
VLM = TransformerConfig(width=48, depth=3, mlp_dim=96, num_heads=4, num_kv_heads=1, head_dim=16)
EXPERT = dataclasses.replace(VLM, width=32, mlp_dim=80)
IMAGE = SiglipConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_px=56)
LORA = LoraConfig(4, 8.0)  # alpha / rank is not 1, so that a wrong scale shows


def config_of(kind: str, **changes) -> ModelConfig:
    base = ModelConfig(kind.startswith("pi05"), 8, 6, 64, 512, IMAGE, VLM, EXPERT)
    if "lora" in kind:
        base = dataclasses.replace(base, vlm=dataclasses.replace(VLM, lora=LORA))
    if kind.endswith("lora"):
        base = dataclasses.replace(base, expert=dataclasses.replace(EXPERT, lora=LORA))
    return dataclasses.replace(base, **changes)


KINDS = ("pi0", "pi05", "pi0_lora", "pi05_lora_vlm")


@pytest.fixture(scope="module")
def openpi():
    return import_openpi()


@pytest.fixture(scope="module", params=KINDS)
def pair(openpi, request):
    """(openpi's modules, our config, parameters, openpi's model with them)."""
    config = config_of(request.param)
    with sized(openpi, config):
        params = random_params(config)
        yield openpi, config, params, their_config(openpi, config).load(jax.tree.map(jnp.asarray, params))


def sample_theirs(openpi, model, seen, noise):
    """Compiled as openpi's policy compiles it."""
    return openpi.nnx_utils.module_jit(model.sample_actions)(jax.random.key(0), seen, noise=noise)


@functools.partial(jax.jit, static_argnums=1)
def sample_ours(params, config, observation, noise):
    return pi0.sample_actions(params, config, observation, noise=noise, steps=10)


def largest(ours, theirs):
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max())


def test_loss_and_gradients(pair, record_property):
    openpi, config, params, model = pair
    batch, key = small_batch(config, 2), jax.random.key(3)
    seen, actions = their_observation(openpi, batch, config.max_token_len), jnp.asarray(batch["actions"])
    definition, state = openpi.nnx.split(model)

    @jax.jit
    @jax.value_and_grad
    def theirs(pure):
        state.replace_by_pure_dict(pure)
        return openpi.nnx.merge(definition, state).compute_loss(key, seen, actions).mean()

    @jax.jit
    @jax.value_and_grad
    def ours(params):
        noise, time = pi0.draw_noise_and_time(key, actions.shape)
        return pi0.compute_loss(params, config, our_inputs(batch), actions, noise=noise, flow_time=time).mean()

    their_loss, their_gradient = theirs(jax.tree.map(jnp.asarray, params))
    our_loss, our_gradient = ours(params)
    assert float(their_loss) > 0.1
    apart = largest(our_loss, their_loss) / float(their_loss)
    norms = {path: float(jnp.linalg.norm(leaf)) for path, leaf in flatten(their_gradient).items()}
    off = {path: float(jnp.linalg.norm(leaf - flatten(their_gradient)[path])) / (norms[path] + 1e-4 * max(norms.values()))
           for path, leaf in flatten(our_gradient).items()}  # fmt: skip
    record_property(
        "numbers", f"loss {float(their_loss):.4f}, apart {apart:.1e}; gradients apart {max(off.values()):.1e}"
    )
    assert apart < TOLERANCE and set(off) == set(norms)
    assert max(off.values()) < GRADIENT_TOLERANCE, max(off, key=off.get)


def test_samples(pair, record_property):
    """Two cameras of three: openpi encodes the third black and masks it."""
    openpi, config, params, model = pair
    batch = small_batch(config, 2, seed=1)
    noise = jax.random.normal(jax.random.key(1), batch["actions"].shape)
    seen = their_observation(openpi, batch, config.max_token_len)
    theirs = sample_theirs(openpi, model, seen, noise)
    ours = sample_ours(params, config, our_inputs(batch), noise)
    record_property("numbers", f"10 steps, apart {largest(ours, theirs):.1e}, actions up to {largest(theirs, 0):.1f}")
    assert largest(theirs, noise) > 0.1
    assert largest(ours, theirs) < TOLERANCE * max(1.0, largest(theirs, 0))


@pytest.mark.parametrize("kind", ("pi05", "pi0_lora"))
def test_train_steps(openpi, kind, tmp_path, record_property):
    """Three steps of openpi's scripts/train.py and three of ours: loss, gradient norm, EMA. Augmentation is off."""
    config, steps = config_of(kind), 3
    settings = TrainConfig(steps=10, ema=0.9, augment=False, seed=5)
    rates = ScheduleConfig(warmup_steps=2, peak_lr=1e-3, final_lr=1e-4)
    with sized(openpi, config), without_augmentation(openpi):
        _, state, step = their_trainer(openpi, config, settings, rates, tmp_path)
        params, mask = state.params.to_pure_dict(), trainable_mask(config)
        train_key = jax.random.split(jax.random.key(settings.seed))[0]
        our_state = init_state(cast_frozen(params, mask), settings, train_key, mask)
        our_step = make_train_step(config, settings, make_schedule(rates, settings.steps), trainable=mask)
        worst = 0.0
        for number in range(steps):
            batch = small_batch(config, 2, seed=number)
            seen = their_observation(openpi, batch, config.max_token_len), jnp.asarray(batch["actions"])
            state, info = step(train_key, state, seen)
            our_state, metrics = our_step(our_state, batch)
            for name in ("loss", "grad_norm", "param_norm"):
                worst = max(worst, largest(metrics[name], info[name]) / float(info[name]))
    assert (int(state.step), int(our_state.step)) == (steps, steps)
    ema = flatten(state.ema_params.to_pure_dict())
    start, off = flatten(params), {}
    for path, leaf in flatten(our_state.ema).items():
        if not path.endswith("key/bias"):  # its true gradient is zero: Adam makes steps of the rounding error
            moved, apart = (float(jnp.linalg.norm(ema[path] - other)) for other in (start[path], leaf))
            off[path] = apart / moved if moved else apart  # the loss does not see the VLM's last norm
    path = max(off, key=off.get)
    record_property("numbers", f"loss and norms apart {worst:.1e}; EMA's way apart {off[path]:.1e} in {path}")
    assert worst < GRADIENT_TOLERANCE and off[path] < 2e-2, path


def their_trainer(openpi, config, settings, rates, folder):
    """openpi's TrainConfig, first state (its every leaf with noise) and compiled step, as its main() makes them."""
    their = openpi.config.TrainConfig(
        name="small", exp_name="run", checkpoint_base_dir=str(folder), model=their_config(openpi, config), wandb_enabled=False,
        lr_schedule=openpi.optimizer.CosineDecaySchedule(
            warmup_steps=rates.warmup_steps, peak_lr=rates.peak_lr, decay_steps=settings.steps, decay_lr=rates.final_lr),
        optimizer=openpi.optimizer.AdamW(weight_decay=settings.weight_decay, clip_gradient_norm=settings.clip_norm),
        ema_decay=settings.ema, freeze_filter=their_config(openpi, config).get_freeze_filter(), weight_loader=Given(config),
    )  # fmt: skip
    mesh = openpi.sharding.make_mesh(1)
    state, _ = openpi.script.init_train_state(their, jax.random.key(9), mesh, resume=False)
    return their, state, jax.jit(functools.partial(openpi.script.train_step, their))


@dataclasses.dataclass(frozen=True)
class Given:
    """A weight loader of openpi's kind, with our random parameters."""

    config: ModelConfig

    def load(self, params):
        given = flatten(random_params(self.config))
        return nest({path: given[path].astype(leaf.dtype) for path, leaf in flatten(params).items()})


def without_augmentation(openpi):
    plain = openpi.model.preprocess_observation
    quiet = lambda key, observation, train=False: plain(None, observation, train=False)  # noqa: E731
    return mock.patch.object(openpi.model, "preprocess_observation", quiet)


def test_a_checkpoint_by_openpi_is_read_here(openpi, tmp_path, record_property):
    """openpi's own save_state; its statistics too."""
    config = config_of("pi05")
    stats = {name: openpi.normalize.NormStats(mean=np.arange(3.0), std=np.ones(3), q01=-np.ones(3), q99=np.full(3, 2.5))
             for name in ("state", "actions")}  # fmt: skip
    data = openpi.config.DataConfig(repo_id="x", asset_id="panda", norm_stats=stats)
    loader = mock.Mock(data_config=lambda: data)
    with sized(openpi, config):
        their, state, _ = their_trainer(openpi, config, TrainConfig(ema=0.9), ScheduleConfig(), tmp_path)
        manager, _ = openpi.saving.initialize_checkpoint_dir(
            their.checkpoint_dir, keep_period=None, overwrite=False, resume=False
        )
        openpi.saving.save_state(manager, state, loader, 7)
        manager.wait_until_finished()
        folder = tmp_path / "small" / "run" / "7"
        model = their.model.load(openpi.model.restore_params(folder / "params"))
        batch = small_batch(config, 1)
        noise = jax.random.normal(jax.random.key(1), batch["actions"].shape)
        seen = their_observation(openpi, batch, config.max_token_len)
        theirs = sample_theirs(openpi, model, seen, noise)
    params = load_params(folder, config)
    assert all(np.array_equal(leaf, flatten(random_params(config))[path]) for path, leaf in flatten(params).items())
    ours = sample_ours(params, config, our_inputs(batch), noise)
    record_property("numbers", f"apart {largest(ours, theirs):.1e}")
    assert largest(ours, theirs) < TOLERANCE * max(1.0, largest(theirs, 0))
    read = load_norm_stats(folder / "assets" / "panda" / "norm_stats.json")
    for name, entry in stats.items():
        for kind in ("mean", "std", "q01", "q99"):
            np.testing.assert_array_equal(getattr(read[name], kind), getattr(entry, kind))


def test_our_statistics_are_read_by_openpi(openpi, tmp_path):
    stats = {"state": NormStats(np.array([1 / 3, 2.0]), np.array([1e-9, 7.0]), np.zeros(2), np.full(2, 0.1))}
    save_norm_stats(tmp_path / "norm_stats.json", stats)
    read = openpi.normalize.load(tmp_path)["state"]
    for kind in ("mean", "std", "q01", "q99"):
        np.testing.assert_array_equal(getattr(read, kind), getattr(stats["state"], kind))


def write_checkpoint(folder, config, params):
    """<folder>/checkpoints/20 as our trainer leaves it: two cameras of 64 x 48, PaliGemma's prompt, quantiles."""
    draw = np.random.default_rng(4)
    cameras = (Camera("base_0_rgb", "base_camera", 64, 48), Camera("left_wrist_0_rgb", "hand_camera", 48, 48))
    contract = dataclasses.replace(CONTRACT, cameras=cameras, image_px=224)
    stats = {}
    for name, dim in (("state", 8), ("actions", 7)):
        low = draw.uniform(-1.2, -0.5, dim)
        stats[name] = NormStats(draw.normal(size=dim), draw.uniform(0.5, 2, dim), low, low + draw.uniform(1, 2, dim))
    checkpoint = folder / "checkpoints" / "20"
    save_params(checkpoint / "params", params)
    assets = checkpoint / ASSETS
    assets.mkdir(parents=True)
    contract.save(assets)
    save_norm_stats(assets / "norm_stats.json", stats)
    shutil.copyfile(SENTENCEPIECE, assets / "tokenizer.model")
    kind = "quantile" if config.pi05 else "zscore"
    record = {"normalization": kind, "state_in_prompt": config.pi05, "tokenizer": "SentencePieceTokenizer"}
    (assets / "policy.json").write_text(json.dumps({**record, "model_config": dataclasses.asdict(config)}))
    return checkpoint


@pytest.mark.parametrize("dtype", ("float32", "bfloat16"))
@pytest.mark.parametrize("kind", ("pi0", "pi05"))
def test_an_export_is_a_policy_in_openpi(openpi, kind, dtype, tmp_path, monkeypatch, record_property):
    """`pirig weights export`, the pasted config, openpi's create_trained_policy: raw observation in, same actions out."""
    config = config_of(kind, compute_dtype=dtype, max_token_len=200)
    checkpoint = write_checkpoint(tmp_path / "run", config, random_params(config))
    export(checkpoint, tmp_path / "for_openpi", dtype=dtype)
    monkeypatch.setenv("OPENPI_DATA_HOME", str(tmp_path / "home"))  # where openpi keeps PaliGemma's tokenizer
    (tmp_path / "home" / "big_vision").mkdir(parents=True)
    shutil.copyfile(SENTENCEPIECE, tmp_path / "home" / "big_vision" / "paligemma_tokenizer.model")
    pasted = vars(openpi.config) | {"__name__": openpi.config.__name__}
    exec((tmp_path / "for_openpi" / "openpi_config.py").read_text(), pasted)
    train_config = pasted["for_openpi_config"](str(tmp_path / "for_openpi"))
    train_config = dataclasses.replace(train_config, model=dataclasses.replace(train_config.model, dtype=dtype))
    restore = openpi.model.restore_params
    if dtype == "float32":  # create_trained_policy always asks for bfloat16
        monkeypatch.setattr(openpi.model, "restore_params", lambda path, dtype: restore(path, dtype=jnp.float32))
    with sized(openpi, config):
        theirs = openpi.policy_config.create_trained_policy(train_config, tmp_path / "for_openpi")
        images, state, noise = raw_inputs(config)
        seen = {
            "image": {role: image[0] for role, image in images.items()},
            "state": state[0],
            "prompt": CONTRACT.prompt,
        }
        their_actions = theirs.infer(seen, noise=noise)["actions"]
    ours = load_policy(checkpoint, flow_steps=10, batch_size=1)
    if dtype == "bfloat16":
        ours.params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), ours.params)
    our_actions = ours.predict(images, state, noise[None])[0]
    assert our_actions.shape == their_actions.shape == (6, 7)
    size = max(1.0, largest(their_actions, 0))
    record_property("numbers", f"apart {largest(our_actions, their_actions):.1e}, actions up to {size:.1f}")
    assert np.ptp(their_actions) > 0.1
    assert largest(our_actions, their_actions) < (TOLERANCE if dtype == "float32" else BF16_TOLERANCE) * size


def raw_inputs(config):
    draw = np.random.default_rng(2)
    images = {"base_0_rgb": draw.integers(0, 256, (1, 48, 64, 3), dtype=np.uint8),
              "left_wrist_0_rgb": draw.integers(0, 256, (1, 48, 48, 3), dtype=np.uint8)}  # fmt: skip
    noise = draw.normal(size=(config.action_horizon, config.action_dim)).astype(np.float32)
    return images, draw.uniform(-0.8, 0.8, (1, 8)).astype(np.float32), noise
