"""The loop on a small flow model: it learns, stops, resumes bit for bit, and says what went wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.contract import Contract
from pirig.files import space
from pirig.runs.progress import newest_checkpoint, steps_saved
from pirig.training import checkpoints
from pirig.training.loop import TrainingDiverged
from pirig.training.step import init_state

HERE = Path(__file__).parent


def stop_after(count):
    calls = []
    return lambda: calls.append(1) or len(calls) >= count


def read_checkpoint(small, folder, trainable=None):
    from pirig.training.loop import initial_params

    params = initial_params(small.settings, small.pipeline.model_config, small.model)
    like = init_state(params, small.settings, jax.random.key(1), trainable)
    return checkpoints.restore(folder, like, trainable)


def assert_equal_states(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_trains_and_leaves_everything_behind(small, tmp_path, capsys):
    result = small.train(tmp_path, steps=60, save_every=25)
    assert result.steps == 60 and result.stopped == "" and result.checkpoint.name == "60"
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 61))
    assert {"loss", "grad_norm", "lr", "samples_per_s", "loader_share"} <= set(rows[0])
    assert np.mean([row["loss"] for row in rows[-10:]]) < rows[0]["loss"]
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "samples" / "step0_base_0_rgb.png").is_file()
    assert "samples/s" in capsys.readouterr().err
    assets = result.checkpoint / "assets" / "pirig"
    assert json.loads((assets / "policy.json").read_text())["demo_lengths"] == [9, 7]
    assert Contract.load(assets) == small.pipeline.contract
    assert "norm_stats" in json.loads((assets / "norm_stats.json").read_text())
    assert (result.checkpoint / "_CHECKPOINT_METADATA").is_file()


@pytest.mark.parametrize("changes", [{}, {"ema": 0.0}, {"flow_samples": 2, "augment": False}])
def test_stopped_and_resumed_equals_straight_bit_for_bit(small, tmp_path, changes):
    straight = small.train(tmp_path / "straight", **changes)
    first = small.train(tmp_path / "parts", should_stop=stop_after(3), **changes)
    assert (first.steps, first.stopped) == (3, "should_stop")
    second = small.train(tmp_path / "parts", resume=True, **changes)
    small.settings.ema = changes.get("ema", small.settings.ema)
    assert_equal_states(read_checkpoint(small, straight.checkpoint)[0], read_checkpoint(small, second.checkpoint)[0])
    losses = [
        [row["loss"] for row in map(json.loads, (tmp_path / run / "metrics.jsonl").read_text().splitlines())]
        for run in ("straight", "parts")
    ]
    assert losses[0] == losses[1]
    assert second.loss == straight.loss


def test_frozen_leaves_stay_and_resume(small, tmp_path):
    from pirig.training.loop import initial_params

    mask = {"in": {"kernel": False, "bias": False}, "out": {"kernel": True, "bias": True}}
    straight = small.train(tmp_path / "straight", trainable=mask)
    small.train(tmp_path / "parts", trainable=mask, should_stop=stop_after(2))
    resumed = small.train(tmp_path / "parts", trainable=mask, resume=True)
    one, other = (read_checkpoint(small, run.checkpoint, mask)[0] for run in (straight, resumed))
    assert_equal_states(one, other)
    before = initial_params(small.settings, small.pipeline.model_config, small.model)
    np.testing.assert_array_equal(one.params["in"]["kernel"], before["in"]["kernel"])
    assert not np.array_equal(one.params["out"]["kernel"], before["out"]["kernel"])
    assert list(one.ema) == ["out"]


def test_params_item_is_openpis(small, tmp_path):
    result = small.train(tmp_path)
    raw = {"params": checkpoints.load_params(result.checkpoint)}
    assert isinstance(raw["params"]["out"]["kernel"], np.ndarray)
    with pytest.raises(ValueError, match="expected a folder params/"):
        checkpoints.load_params(tmp_path)
    state, progress = read_checkpoint(small, result.checkpoint)
    np.testing.assert_array_equal(raw["params"]["out"]["kernel"], state.ema["out"]["kernel"])
    assert not np.array_equal(state.ema["out"]["kernel"], state.params["out"]["kernel"])
    assert progress["position"] == 6 * 5 and progress["step"] == 6


def test_a_checkpoint_is_written_beside_the_training(small, tmp_path):
    from pirig.training.batches import BatchSettings, prepare
    from pirig.training.loop import initial_params
    from pirig.training.losses import Losses
    from pirig.training.schedules import make_schedule
    from pirig.training.step import make_train_step

    params = initial_params(small.settings, small.pipeline.model_config, small.model)
    state = init_state(params, small.settings, jax.random.key(1))
    before = jax.tree.map(np.array, state.params)
    schedule = make_schedule(small.schedule, small.settings.steps)
    step = make_train_step(small.pipeline.model_config, small.settings, schedule, losses=Losses(small.model))
    go_on = threading.Event()
    with checkpoints.Saver(tmp_path, lambda folder: go_on.wait(60)) as saver:
        folder = saver.save(state, {"position": 0, "seconds": 0.0})
        batch = prepare(small.pipeline, small.dataset, small.dataset.frames, BatchSettings(batch_size=5, seed=0)).batch(
            0
        )
        state, _ = step(state, batch)  # donates what is being written
        assert not folder.exists() and int(state.step) == 1
        go_on.set()
    assert_equal_states(read_checkpoint(small, folder)[0].params, before)


def test_a_checkpoint_that_cannot_be_written_stops_the_training(small, tmp_path, monkeypatch):
    def full_disk(folder, tree):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_tree", full_disk)
    with pytest.raises(OSError, match="No space left"):
        small.train(tmp_path, save_every=2)
    assert newest_checkpoint(tmp_path) is None and not list((tmp_path / "checkpoints").iterdir())


def test_a_disk_too_small_for_the_checkpoints_is_said_before_the_first_step(small, tmp_path, monkeypatch):
    """6 steps, every second one kept: three that stay, the newest, and the one being written."""
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=10, total=10**12))
    with pytest.raises(ValueError, match=r"5 checkpoints of .* \(train\.keep_every=2\) need: .* are free"):
        small.train(tmp_path, save_every=1, keep_every=2)
    with pytest.raises(ValueError, match="2 checkpoints of"):
        small.train(tmp_path, save_every=1)
    assert newest_checkpoint(tmp_path) is None and not (tmp_path / "metrics.jsonl").exists()
    monkeypatch.undo()
    small.train(tmp_path)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=10, total=10**12))
    assert small.train(tmp_path, resume=True).steps == 6  # a finished training writes nothing


def test_keep_rule(small, tmp_path):
    small.train(tmp_path, save_every=1, keep_every=4)
    assert steps_saved(tmp_path) == [4, 6]
    assert not [path for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith(".")]


def test_finished_run_resumes_to_itself(small, tmp_path):
    first = small.train(tmp_path)
    again = small.train(tmp_path, resume=True)
    assert again.steps == 6 and again.checkpoint == first.checkpoint and again.loss == first.loss


def test_existing_checkpoints_are_not_touched_without_resume(small, tmp_path):
    small.train(tmp_path)
    with pytest.raises(ValueError, match=r"run\.mode=resume"):
        small.train(tmp_path)


def test_resume_with_other_data_order_or_ema_is_refused(small, tmp_path):
    small.train(tmp_path)
    with pytest.raises(ValueError, match="seed 0, this run has 3"):
        small.train(tmp_path, resume=True, seed=3, steps=9)
    with pytest.raises(ValueError, match="in the checkpoint but"):
        small.train(tmp_path, resume=True, ema=0.0, steps=9)


def test_not_finite_names_the_leaf_and_dumps_the_batch(small, tmp_path):
    def poisoned(params, config, observation, actions, *, noise, flow_time):
        loss = small.model.compute_loss(params, config, observation, actions, noise=noise, flow_time=flow_time)
        return loss * jnp.where(observation.state[:, :1] == bad, jnp.inf, 1.0)

    from pirig.training.batches import BatchSettings, prepare

    batches = prepare(small.pipeline, small.dataset, small.dataset.frames, BatchSettings(batch_size=5, seed=0))
    bad = float(batches.batch(5)["state"][0, 0])
    assert bad not in batches.batch(0)["state"]
    with pytest.raises(TrainingDiverged, match=r"step 2: .* gradient of in/bias"):
        small.train(tmp_path, model=small.model._replace(compute_loss=poisoned))
    dumped = np.load(tmp_path / "diverged" / "batch_1.npz")
    np.testing.assert_array_equal(dumped["actions"], batches.batch(5)["actions"])
    assert "images/base_0_rgb" in dumped


def test_bad_settings_are_named(small, tmp_path):
    with pytest.raises(ValueError, match=r"train\.ema is 1\.0"):
        small.train(tmp_path, ema=1.0)
    with pytest.raises(ValueError, match=r"train\.batch_size is 0"):
        small.train(tmp_path, batch_size=0)
    with pytest.raises(ValueError, match=r"train\.wandb is 'on'"):
        small.train(tmp_path, wandb="on")


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import conftest, dataclasses
from pirig.config.schema import TrainConfig
from pirig.training.loop import train
data = conftest.SmallDataset()
settings = TrainConfig(steps={steps}, batch_size=5, ema=0.9, save_every=10, log_every=1, shift_px=1)
result = train(Path({folder!r}), settings, conftest.small_pipeline(), data, data.frames, schedule=conftest.SCHEDULE,
               resume={resume}, model=conftest.MODEL)
print(result.steps, result.stopped)
"""


def start(folder, steps=100_000, resume=False):
    code = SCRIPT.format(here=str(HERE), folder=str(folder), steps=steps, resume=resume)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(folder, process, step=20):
    for _ in range(4800):
        if process.poll() is not None:
            raise AssertionError(process.stderr.read())
        if steps_saved(folder) and steps_saved(folder)[-1] >= step:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint within four minutes")


def test_sigterm_saves_and_stops(tmp_path):
    process = start(tmp_path)
    wait_for_checkpoint(tmp_path, process)
    os.kill(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    steps, stopped = out.split()
    assert process.returncode == 0 and stopped == "SIGTERM"
    assert steps_saved(tmp_path) == [int(steps)]


def test_killed_and_resumed_equals_straight_bit_for_bit(small, tmp_path):
    process = start(tmp_path / "parts")
    wait_for_checkpoint(tmp_path / "parts", process)
    process.kill()
    process.communicate(timeout=60)
    end = steps_saved(tmp_path / "parts")[-1] + 7
    # the schedule must not depend on the steps asked for
    same = dict(steps=end, decay_steps=100_000, save_every=1000)
    resumed = small.train(tmp_path / "parts", resume=True, **same)
    straight = small.train(tmp_path / "straight", **same)
    assert_equal_states(read_checkpoint(small, straight.checkpoint)[0], read_checkpoint(small, resumed.checkpoint)[0])
    rows = [json.loads(line) for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, end + 1))
