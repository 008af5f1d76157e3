"""`trainer=openpi` against a stand-in of openpi (see fake_openpi.py): what it is called with, and with which batches."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from pirig.config.checks import ConfigError, check
from pirig.config.load import compose
from pirig.config.schema import ScheduleConfig
from pirig.models.sizes import model_config
from pirig.training import openpi_trainer
from pirig.training.batches import BatchSettings, prepare
from tests.training import fake_openpi

WORDS = ["trainer=openpi", "model=pi0", "size=full", "weights=pi0_base", "horizon=16", "size.tokenizer=builtin"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(fake_openpi.write(tmp_path / "openpi")))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "openpi"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def config():
    return compose(WORDS)


def full(small, **changes):
    """The small pipeline with the real size's config (no array of it is made)."""
    settings = {"pi05": False, "size": "full", "lora": False, "action_dim": 32, "action_horizon": 4}
    model = model_config(**settings | {"max_token_len": 7, "image_px": 224, "compute_dtype": "bfloat16"} | changes)
    return dataclasses.replace(small.pipeline, model_config=model)


def run(small, config, folder, weights, schedule=None, **train):
    here = dataclasses.replace(
        config,
        train=dataclasses.replace(small.settings, **train),
        schedule=schedule or small.schedule,
        weights=dataclasses.replace(config.weights, path=str(weights)),
    )
    pipeline = full(small)
    return openpi_trainer.train(folder, here, pipeline, small.dataset, small.dataset.frames), pipeline


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "pi0_base" / "params"
    folder.mkdir(parents=True)
    (folder / "_METADATA").write_text("{}")
    return folder.parent


def test_the_same_settings_and_the_same_batches(fake, small, config, tmp_path, weights, monkeypatch):
    found = openpi_trainer.find()
    monkeypatch.setattr(openpi_trainer, "find", lambda: found)
    result, pipeline = run(small, config, tmp_path / "exp" / "run", weights, keep_every=4)
    seen = found.script.seen
    (given,) = seen.configs
    assert given.checkpoint_dir == (tmp_path / "exp" / "run" / "checkpoints").resolve()
    assert (given.num_train_steps, given.batch_size, given.seed, given.keep_period) == (6, 5, 0, 4)
    assert (given.ema_decay, given.save_interval, given.log_interval, given.resume) == (0.9, 100, 2, False)
    assert given.wandb_enabled is False and given.freeze_filter is None
    assert dataclasses.astuple(given.lr_schedule) == (2, 1e-2, 6, 1e-3)
    assert given.model.dtype == "bfloat16" and (given.model.action_dim, given.model.action_horizon) == (32, 4)
    assert given.weight_loader.params_path == str(weights / "params")
    ours = prepare(pipeline, small.dataset, small.dataset.frames, BatchSettings(batch_size=5, seed=0))
    for step, (observation, actions) in enumerate(seen.batches):
        batch = ours.batch(5 * step)
        np.testing.assert_array_equal(actions, batch["actions"])
        np.testing.assert_array_equal(observation.images["base_0_rgb"], batch["images"]["base_0_rgb"])
        assert observation.images["right_wrist_0_rgb"].max() == 0
        assert {role: mask.tolist() for role, mask in observation.image_masks.items()} == {
            "base_0_rgb": [True] * 5, "left_wrist_0_rgb": [False] * 5, "right_wrist_0_rgb": [False] * 5,
        }  # fmt: skip
        assert observation.tokenized_prompt.shape == (5, 7)
        assert observation.tokenized_prompt_mask.sum() == batch["token_mask"].sum()
    assert seen.data_configs[0].asset_id == "pirig" and set(seen.data_configs[0].norm_stats) == {"state", "actions"}
    assert result.loss == 0.25 and result.checkpoint.name == "5"
    rows = [json.loads(line) for line in (tmp_path / "exp" / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows == [{"step": 6, "loss": 0.25, "grad_norm": 2.0, "param_norm": 3.0}]
    assert {path.name for path in (result.checkpoint / "assets" / "pirig").iterdir()} == {
        "norm_stats.json", "contract.json", "policy.json",
    }  # fmt: skip
    with pytest.raises(AssertionError):  # openpi's own loader is back in its place
        found.data_loader.create_data_loader(None)


def test_a_resumed_run_goes_on_with_the_next_batch(fake, small, config, tmp_path, weights, monkeypatch):
    found = openpi_trainer.find()
    monkeypatch.setattr(openpi_trainer, "find", lambda: found)
    run(small, config, tmp_path / "run", weights, steps=3)
    again = dataclasses.replace(config, run=dataclasses.replace(config.run, mode="resume"))
    _, pipeline = run(small, again, tmp_path / "run", weights, steps=6)
    assert found.script.seen.configs[-1].resume is True
    ours = prepare(pipeline, small.dataset, small.dataset.frames, BatchSettings(batch_size=5, seed=0))
    np.testing.assert_array_equal(found.script.seen.batches[2][1], ours.batch(5 * 3)["actions"])


def test_openpi_gets_actions_relative_to_the_state_as_our_trainer_does(fake, small, tmp_path):
    numbers = {"relative_to_state": (2, -1), "model_config": full(small).model_config}
    pipeline = dataclasses.replace(small.pipeline, **numbers)
    batches = prepare(pipeline, small.dataset, small.dataset.frames, BatchSettings(batch_size=5, seed=0))
    loader = openpi_trainer.Loader(openpi_trainer.find(), batches, pipeline, 0)
    _, actions = next(iter(loader))
    frames = batches.indices(0)
    chunks = small.dataset.actions[np.minimum(frames[:, None] + np.arange(4), batches.last_frame[frames][:, None])]
    expected = pipeline.model_actions(chunks, small.dataset.state[frames])
    np.testing.assert_allclose(actions, expected, atol=1e-6)
    assert np.abs(expected - full(small).model_actions(chunks, small.dataset.state[frames])).max() > 0.1


def test_lora_brings_openpis_freeze_filter(fake, small, config, tmp_path, weights):
    lora = dataclasses.replace(
        config,
        finetune=dataclasses.replace(config.finetune, lora=True),
        weights=dataclasses.replace(config.weights, path=str(weights)),
    )
    given = openpi_trainer.train_config(openpi_trainer.find(), lora, full(small, lora=True), tmp_path, resume=False)
    assert given.freeze_filter == "freeze gemma_2b_lora"


def test_openpi_absent_is_one_clear_sentence():
    with pytest.raises(
        ValueError, match=r"openpi cannot be imported here .*clone github\.com.*or choose trainer=pirig"
    ):
        openpi_trainer.find()


def test_every_curve_of_ours_is_openpis(fake):
    openpi, rates = openpi_trainer.find(), {"warmup_steps": 2, "peak_lr": 1e-2}
    rsqrt = openpi_trainer.lr_schedule(openpi, ScheduleConfig("rsqrt", **rates, numbers={"timescale": 7.0}), 6)
    assert type(rsqrt).__name__ == "RsqrtDecaySchedule" and dataclasses.astuple(rsqrt) == (2, 1e-2, 7.0)
    constant = openpi_trainer.lr_schedule(openpi, ScheduleConfig("constant", **rates), 6)
    assert type(constant).__name__ == "CosineDecaySchedule" and dataclasses.astuple(constant) == (2, 1e-2, 3, 1e-2)
    with pytest.raises(ValueError, match=r"schedule\.warmup_steps=6, but the cosine ends at step 6"):
        openpi_trainer.lr_schedule(openpi, ScheduleConfig(warmup_steps=6), 6)


def test_what_openpi_lacks_is_refused(config):
    for group, change, words in (
        ("train", {"accumulate": 2}, "train.accumulate=2: openpi has no such thing"),
        ("finetune", {"freeze_vision": True}, "choose finetune=lora"),
        ("size", {"name": "tiny"}, "choose size=full"),
        ("size", {"image_px": 112}, "size.image_px=112: openpi has no such thing; choose size.image_px=224"),
        ("size", {"patch_px": 16}, "choose size.patch_px=14"),
        ("schedule", {"name": "stairs"}, "schedule=stairs: openpi has no such thing; choose schedule=cosine"),
    ):
        changed = dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **change)})
        with pytest.raises(ConfigError, match=words):
            check(changed)
