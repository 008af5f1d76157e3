"""Labelled scenes beside every batch: what auxiliary losses see of them, that they resume and divide, and who refuses them."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.names import standing
from pirig.config.schema import LossConfig
from pirig.models.flow import FlowModel, ModelInputs
from pirig.training import checkpoints
from pirig.training.auxiliary.labels import LabelLoss
from pirig.training.batches import BatchSettings, ScenesBeside, prepare
from pirig.training.losses import Losses, Weighted, auxiliary_losses
from pirig.training.scene_rows import SceneRows
from pirig.training.schedules import make_schedule
from pirig.training.step import first_bad_leaf, init_state, inputs_of, make_gradient, make_loss, make_train_step
from tests.training.conftest import PX

NAME, COUNT, HELD_OUT = "cube_position_m", 20, 4
FOUR = BatchSettings(batch_size=4, seed=0)


def scenes(label=NAME, of=COUNT):
    """A set in two shards, in which the scene's number is in its label and in its picture; each tenth is not known."""
    images = np.random.default_rng(1).integers(0, 256, (of, PX, PX, 3), dtype=np.uint8)
    labels = np.arange(of, dtype=np.float32)[:, None] + np.array([0.0, 0.1, 0.2], np.float32)
    labels[::10] = np.nan
    shards = [images[: of // 2], images[of // 2 :]]
    return SimpleNamespace(
        folder="a set", roles=["base_0_rgb"], images={"base_0_rgb": shards}, labels={label: labels}, places={}, count=of
    )


@pytest.fixture
def rows():
    return SceneRows([scenes()], [NAME], held_out=HELD_OUT, seed=0)


@pytest.fixture
def losses(small):
    labelled = auxiliary_losses({"cube": LossConfig("labels", weight=0.5)}, small.dataset.labels)
    return Losses(small.model, labelled, on_scenes=True)


def batches_of(small, losses, drawn_of, count=4, **options):
    beside = ScenesBeside(drawn_of, count)
    frames = small.dataset.frames
    return prepare(small.pipeline, small.dataset, frames, FOUR, labels=losses.labels, scenes=beside, **options)


def first(small, losses, rows, **changes):
    settings = dataclasses.replace(small.settings, **changes)
    batches = batches_of(small, losses, rows)
    config, batch = small.pipeline.model_config, jax.tree.map(jnp.asarray, batches.batch(0))
    params = small.model.init_params(jax.random.key(0), config)
    heads = losses.init_heads(jax.random.key(1), params, config, inputs_of(batch, batch["images"]), batches.labels)
    return init_state(params, settings, jax.random.key(2), heads=heads), settings, batch


def test_they_are_drawn_by_position_and_none_that_is_held_out_is(small, losses, rows):
    batches, again = (batches_of(small, losses, rows) for _ in range(2))
    drawn = [batches.batch(position)["scenes"] for position in range(0, 400, 4)]
    jax.tree.map(np.testing.assert_array_equal, drawn[7], again.batch(28)["scenes"])
    numbers = [part["labels"][NAME][:, 0] for part in drawn]
    assert len({tuple(part) for part in numbers}) > 50
    seen = {int(number) for part in numbers for number in part if np.isfinite(number)}
    known = {number for number in range(COUNT) if number % 10}
    assert seen == known - set(rows.held_out.tolist()) and len(rows.held_out) == HELD_OUT
    for part in drawn[:5]:
        for image, number in zip(part["images"]["base_0_rgb"], part["labels"][NAME][:, 0], strict=True):
            if np.isfinite(number):
                np.testing.assert_array_equal(image, rows.images["base_0_rgb"][np.array([int(number)])][0])


def test_processes_load_equal_parts_of_them(small, losses, rows):
    whole = batches_of(small, losses, rows).batch(8)["scenes"]
    halves = [batches_of(small, losses, rows, rows=half).batch(8)["scenes"] for half in (slice(0, 2), slice(2, 4))]
    joined = jax.tree.map(lambda *parts: np.concatenate(parts), *halves)
    jax.tree.map(np.testing.assert_array_equal, whole, joined)


def test_the_total_has_their_loss_too_and_the_flow_loss_is_as_without(small, losses, rows):
    _, settings, batch = first(small, losses, rows)
    alone = Losses(small.model, losses.auxiliary)
    rate = make_schedule(small.schedule, settings.steps)
    without = {name: part for name, part in batch.items() if name != "scenes"}
    found = []
    for one, given in ((losses, batch), (alone, without)):
        step = make_train_step(small.pipeline.model_config, settings, rate, losses=one)
        found.append(step(first(small, losses, rows)[0], given)[1])
    parts, plain = ({name: float(value) for name, value in metrics.items()} for metrics in found)
    assert set(parts) - set(plain) == {"cube_scenes_loss"} and parts["finite"]
    assert parts["loss"] == pytest.approx(plain["loss"], rel=1e-6)
    assert parts["cube_loss"] == pytest.approx(plain["cube_loss"], rel=1e-6)
    expected = parts["loss"] + 0.5 * (parts["cube_loss"] + parts["cube_scenes_loss"])
    assert parts["total_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("draws", [1, 3])
def test_in_parts_the_gradient_is_the_same(small, losses, draws):
    """Of scenes that are all known: parts with different numbers of unknown labels are means of means."""
    known = scenes()
    known.labels[NAME] = np.nan_to_num(known.labels[NAME])
    rows = SceneRows([known], [NAME], held_out=HELD_OUT, seed=0)
    whole, parts = (
        make_gradient(small.pipeline.model_config, settings, losses)(
            {**state.params, "heads": state.heads}, {}, batch, jax.random.key(5)
        )
        for state, settings, batch in (first(small, losses, rows, accumulate=n, flow_samples=draws) for n in (1, 2))
    )
    assert whole[0]["cube_scenes_loss"] > 0
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5), whole, parts)


def test_stopped_and_resumed_equals_straight_bit_for_bit(small, losses, rows, tmp_path):
    for name, steps in (("straight", [6]), ("halves", [3, 6])):
        for number, count in enumerate(steps):
            options = {"auxiliary": losses.auxiliary, "scenes": rows, "scenes_per_batch": 3}
            small.train(tmp_path / name, resume=number > 0, steps=count, decay_steps=6, **options)
    ends = [tmp_path / name / "checkpoints" / "6" for name in ("straight", "halves")]
    jax.tree.map(np.testing.assert_array_equal, *(checkpoints.load_params(end) for end in ends))
    runs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("straight", "halves")]
    of_scenes = [[json.loads(line)["cube_scenes_loss"] for line in lines] for lines in runs]
    assert of_scenes[0] == of_scenes[1] and len(set(of_scenes[0])) == 6


def test_an_unknown_label_is_no_bad_batch(small, losses, rows):
    state, settings, batch = first(small, losses, rows)
    batch["scenes"]["labels"][NAME] = jnp.full((4, 3), jnp.nan)
    loss = make_loss(small.pipeline.model_config, settings, losses)
    assert first_bad_leaf(state, batch, loss) == "the loss alone (its gradient is finite)"
    bad = {**batch, "actions": batch["actions"].at[0].set(jnp.nan)}
    assert first_bad_leaf(state, bad, loss) == "batch/actions"


def test_several_tasks_need_not_all_have_a_label():
    rows = SceneRows([scenes(), scenes("ball_position_m", 10)], [NAME], held_out=3, seed=0)
    assert np.isnan(rows.labels[NAME][COUNT:]).all() and len(rows.labels[NAME]) == COUNT + 10
    with pytest.raises(
        ValueError, match="a set: the scenes show no peg_position_m; they show cube_position_m; leave it out"
    ):
        SceneRows([scenes()], ["peg_position_m"], held_out=3, seed=0)


def test_what_cannot_be_is_named(small, losses, rows, tmp_path):
    with pytest.raises(ValueError, match=r"train\.scenes_per_batch=8 without losses: .* choose losses=labels"):
        compose(["train.scenes_per_batch=8"])
    options = {"auxiliary": losses.auxiliary, "scenes": rows, "batch_size": 6}
    with pytest.raises(
        ValueError, match=r"scenes_per_batch=3 with 1 devices and train\.accumulate=2: .* multiple of 2"
    ):
        small.train(tmp_path, scenes_per_batch=3, accumulate=2, **options)
    with pytest.raises(ValueError, match=r"train\.scenes_per_batch is -1; expected at least 0"):
        small.train(tmp_path, scenes_per_batch=-1, **options)
    assert not list(tmp_path.iterdir())


def test_a_place_in_the_world_is_read_off_cameras_that_stand_still():
    """What a wrist camera shows changes neither an auxiliary loss nor its head, but the policy is fed it."""
    assert standing(["base_0_rgb", "left_wrist_0_rgb"]) == ["base_0_rgb"]
    assert standing(["left_wrist_0_rgb", "right_wrist_0_rgb"]) == ["left_wrist_0_rgb", "right_wrist_0_rgb"]
    rng = np.random.default_rng(3)
    features = jnp.asarray(rng.normal(size=(2, 3, 5, 4)), jnp.float32)  # cameras in the order of their names
    masks = {"base_0_rgb": jnp.array([True, True, False]), "left_wrist_0_rgb": jnp.ones(3, bool)}
    images = {role: jnp.zeros((3, PX, PX, 3), jnp.uint8) for role in masks}
    inputs = ModelInputs(images, masks, jnp.zeros((3, 4)), jnp.zeros((3, 1), jnp.int32), jnp.ones((3, 1), bool))
    model = FlowModel(None, None, None, encode_images=lambda params, config, inputs: features)
    loss = LabelLoss((NAME,))
    losses = Losses(model, {"cube": Weighted(loss, 0.5)})
    labels = {NAME: jnp.asarray(rng.normal(size=(3, 3)), jnp.float32)}
    heads = losses.init_heads(jax.random.key(0), {}, None, inputs, {NAME: np.asarray(labels[NAME])})
    assert heads["cube"][NAME]["kernel"].shape == (1 * 5 * 4, 3)
    measured = losses.measure({}, heads, None, inputs, labels)
    seen = jnp.where(masks["base_0_rgb"][None, :, None, None], features[:1], 0)
    expected, _ = loss.measure(heads["cube"], seen, labels)
    np.testing.assert_allclose(measured["cube_loss"], expected, rtol=1e-6)
    two = {**scenes().images, "left_wrist_0_rgb": scenes().images["base_0_rgb"]}
    both = SimpleNamespace(**{**vars(scenes()), "images": two, "roles": list(two)})
    assert list(SceneRows([both], [NAME], held_out=3, seed=0).images) == ["base_0_rgb"]
