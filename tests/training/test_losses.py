"""Losses by name: what is added, logged, kept and resumed, and that a policy sees none of it."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.schema import LossConfig
from pirig.contract import Contract
from pirig.files.orbax import saved_tree
from pirig.models.flow import ModelInputs
from pirig.models.layout import flatten
from pirig.policies.policy import Policy
from pirig.runs.identity import run_id
from pirig.training import checkpoints, rotations
from pirig.training.auxiliary.labels import SCALE_TURN, LabelLoss
from pirig.training.auxiliary.labels import make as of_kind
from pirig.training.batches import BatchSettings, prepare
from pirig.training.losses import Losses, auxiliary_losses
from pirig.training.schedules import make_schedule
from pirig.training.step import heads_to_measure, init_state, inputs_of, make_gradient, make_train_step
from pirig.training.validation import Validation, at_rest
from pirig.transforms.normalize import load_norm_stats

NAME = "cube_position_m"
FOUR = BatchSettings(batch_size=4, seed=0)
LABELS = {"cube": LossConfig("labels", weight=0.5)}


@pytest.fixture
def labelled(small):
    return auxiliary_losses(LABELS, small.dataset.labels)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def rate(small):
    return make_schedule(small.schedule, small.settings.steps)


def first(small, losses, **changes):
    """The state, the settings and a batch of a training with these losses."""
    settings = dataclasses.replace(small.settings, **changes)
    batches = prepare(small.pipeline, small.dataset, small.dataset.frames, FOUR, labels=losses.labels)
    config, batch = small.pipeline.model_config, jax.tree.map(jnp.asarray, batches.batch(0))
    params = small.model.init_params(jax.random.key(0), config)
    heads = losses.init_heads(jax.random.key(1), params, config, inputs_of(batch, batch["images"]), batches.labels)
    return init_state(params, settings, jax.random.key(2), heads=heads), settings, batch


def test_the_total_is_the_flow_loss_and_the_weighted_others(small, labelled):
    losses = Losses(small.model, labelled)
    state, settings, batch = first(small, losses)
    _, metrics = make_train_step(small.pipeline.model_config, settings, rate(small), losses=losses)(state, batch)
    parts = {name: float(metrics[name]) for name in ("loss", "total_loss", "cube_loss")}
    assert parts["total_loss"] == pytest.approx(parts["loss"] + 0.5 * parts["cube_loss"], rel=1e-6)
    assert parts["cube_loss"] > 0


def test_without_others_the_step_is_what_it_was(small, labelled):
    plain, more = Losses(small.model), Losses(small.model, labelled)
    state, settings, batch = first(small, plain)
    assert state.heads == {} and "labels" not in batch
    _, alone = make_train_step(small.pipeline.model_config, settings, rate(small), losses=plain)(state, batch)
    assert set(alone) == {"loss", "grad_norm", "param_norm", "lr", "finite"}
    state, settings, batch = first(small, more)
    _, both = make_train_step(small.pipeline.model_config, settings, rate(small), losses=more)(state, batch)
    np.testing.assert_allclose(both["loss"], alone["loss"], rtol=1e-6)


@pytest.mark.parametrize("draws", [1, 3])
def test_in_parts_the_gradient_is_the_same(small, labelled, draws):
    losses = Losses(small.model, labelled)
    whole, parts = (
        make_gradient(small.pipeline.model_config, settings, losses)(
            {**state.params, "heads": state.heads}, {}, batch, jax.random.key(5)
        )
        for state, settings, batch in (first(small, losses, accumulate=n, flow_samples=draws) for n in (1, 2))
    )
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6), whole, parts)
    head = whole[1]["heads"]["cube"][NAME]["kernel"]
    assert float(np.abs(head).max()) > 0


def test_the_tower_learns_from_it_and_a_policy_alone_does_not_need_it(small, labelled):
    """The gradient of the label loss reaches the tower's leaves, at a weight of 0.5."""
    trees = []
    for losses in (Losses(small.model), Losses(small.model, labelled)):
        state, settings, batch = first(small, losses)
        batch = {**batch, "actions": batch["actions"] * 0}
        trained = {**state.params, "heads": state.heads} if state.heads else state.params
        gradient = make_gradient(small.pipeline.model_config, settings, losses)
        trees.append(gradient(trained, {}, batch, jax.random.key(5))[1])
    assert not np.allclose(trees[0]["in"]["kernel"], trees[1]["in"]["kernel"])
    np.testing.assert_allclose(trees[0]["out"]["kernel"], trees[1]["out"]["kernel"], atol=1e-6)


def test_it_is_logged_validated_and_plotted_by_name(small, labelled, tmp_path, capsys):
    small.train(tmp_path, auxiliary=labelled, held_out=[1], steps=40, validate_every=10, decay_steps=40)
    rows = rows_of(tmp_path)
    assert all({"loss", "total_loss", "cube_loss"} <= set(row) for row in rows)
    measured = [row for row in rows if "validation_loss" in row]
    assert len(measured) == 4
    for row in measured:
        assert {"validation_loss", "validation_cube_loss", "validation_cube_cube_position_mm"} <= set(row)
    assert rows[-1]["cube_loss"] < 0.5 * rows[0]["cube_loss"]
    screen = capsys.readouterr().err
    assert "total loss" in screen and "cube loss" in screen and "cube cube position mm" in screen
    assert (tmp_path / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize("changes", [{"ema": 0.0}, {"ema": 0.9, "flow_samples": 2}, {"batch_size": 6, "accumulate": 3}])
def test_stopped_and_resumed_equals_straight_bit_for_bit(small, labelled, tmp_path, changes):
    for name, steps in (("straight", [6]), ("halves", [3, 6])):
        for number, count in enumerate(steps):
            options = {"auxiliary": labelled, "steps": count, "decay_steps": 6, **changes}
            small.train(tmp_path / name, resume=number > 0, **options)
    trees = [saved_tree(tmp_path / name / "checkpoints" / "6" / "train_state") for name in ("straight", "halves")]
    assert "heads" in trees[0] and ("heads_ema" in trees[0]) == (changes.get("ema", 0.9) > 0)
    losses = [[row["total_loss"] for row in rows_of(tmp_path / name)] for name in ("straight", "halves")]
    assert losses[0] == losses[1]
    params = [checkpoints.load_params(tmp_path / name / "checkpoints" / "6") for name in ("straight", "halves")]
    jax.tree.map(np.testing.assert_array_equal, *params)


def test_another_loss_is_no_resume(small, labelled, tmp_path):
    small.train(tmp_path, steps=3)
    with pytest.raises(ValueError, match=r"heads/cube/cube_position_m/bias is absent in the checkpoint .* losses"):
        small.train(tmp_path, resume=True, steps=6, auxiliary=labelled)


def served(small, checkpoint):
    """The policy of a checkpoint, by the assets that lie beside its parameters."""
    assets = checkpoint / "assets" / "pirig"
    stats = load_norm_stats(assets / "norm_stats.json")
    pipeline = dataclasses.replace(small.pipeline, contract=Contract.load(assets), stats=stats)
    return Policy(checkpoints.load_params(checkpoint), pipeline, flow_steps=1, batch_size=1)


def test_what_is_served_holds_no_head_and_the_model_is_fed_no_label(small, labelled, tmp_path):
    """The same run with and without labels: the same leaves in params/, the same assets, the same tensors."""
    small.train(tmp_path / "with", auxiliary=labelled)
    small.train(tmp_path / "without")
    steps = [tmp_path / name / "checkpoints" / "6" for name in ("with", "without")]
    leaves = [{path: leaf.shape for path, leaf in flatten(checkpoints.load_params(step)).items()} for step in steps]
    assert leaves[0] == leaves[1]
    assets = [sorted(path.name for path in (step / "assets" / "pirig").iterdir()) for step in steps]
    assert assets[0] == assets[1]
    records = [json.loads((step / "assets" / "pirig" / "policy.json").read_text()) for step in steps]
    assert records[0] == records[1]
    policies = [served(small, step) for step in steps]
    frame = {"base_0_rgb": small.dataset.frames["base_0_rgb"][:1]}
    shown = [policy.model_inputs(frame, small.dataset.state[:1]) for policy in policies]
    jax.tree.map(np.testing.assert_array_equal, *shown)
    with_labels, plain = (
        prepare(small.pipeline, small.dataset, small.dataset.frames, FOUR, labels=labels).batch(0)
        for labels in ([NAME], [])
    )
    assert set(with_labels) - set(plain) == {"labels"}
    fed = [inputs_of(batch, batch["images"]) for batch in (with_labels, plain)]
    assert fed[0]._fields == ModelInputs._fields and "labels" not in ModelInputs._fields
    jax.tree.map(np.testing.assert_array_equal, *fed)


def test_validation_measures_with_the_averaged_head(small, labelled):
    losses = Losses(small.model, labelled)
    state, settings, batch = first(small, losses)
    state, _ = make_train_step(small.pipeline.model_config, settings, rate(small), losses=losses)(state, batch)
    batches = prepare(small.pipeline, small.dataset, small.dataset.frames, FOUR, labels=losses.labels)
    data = small.dataset
    validation = Validation(batches, small.pipeline, data.actions, data.state, np.arange(5), settings, losses)
    assert not np.array_equal(state.heads["cube"][NAME]["bias"], state.heads_ema["cube"][NAME]["bias"])
    averaged, raw = (validation.measure(state.ema, heads) for heads in (heads_to_measure(state), state.heads))
    assert averaged["validation_loss"] == raw["validation_loss"]
    assert averaged["validation_cube_loss"] != raw["validation_cube_loss"]


def test_where_a_thing_lies_is_measured_before_it_is_moved_too(small, labelled):
    """One picture hardly tells how far away a lifted cube is; a policy that says where it lies knows enough to grasp it."""
    losses = Losses(small.model, labelled)
    state, settings, _ = first(small, losses)
    batches = prepare(small.pipeline, small.dataset, small.dataset.frames, FOUR, labels=losses.labels)
    starts = batches.first_frame(np.arange(batches.frame_count))
    assert starts[0] == 0 and set(starts) == {
        0,
        *(batches.last_frame[batches.last_frame < batches.frame_count - 1] + 1),
    }
    lifted = np.arange(batches.frame_count) - starts >= 2
    batches.labels[NAME] = batches.labels[NAME][starts] + np.float32([0, 0, 0.3]) * lifted[:, None]
    frames, data = np.arange(5), small.dataset
    at_rest, whole = (
        Validation(batches, small.pipeline, data.actions, data.state, rows, settings, losses).measure(
            state.ema, state.heads
        )
        for rows in (frames[~lifted[:5]], frames)
    )
    assert lifted[:5].any() and not lifted[:5].all()
    known = whole["validation_cube_cube_at_rest_mm"]
    assert known == pytest.approx(at_rest["validation_cube_cube_position_mm"], rel=1e-5)
    assert whole["validation_cube_cube_position_mm"] > known + 50


def test_a_thing_whose_name_ends_like_anothers_is_told_apart():
    """peg_insertion_side has a hole and a box_with_hole."""
    numbers = {"labels_hole_position_mm": np.float32([1, 2]), "labels_box_with_hole_position_mm": np.float32([3, 4])}
    moved = {"box_with_hole_position_m": np.array([False, True]), "hole_position_m": np.array([True, False])}
    found = at_rest(numbers, ["labels"], moved)
    np.testing.assert_array_equal(found.pop("labels_hole_at_rest_mm"), [np.nan, 2])
    np.testing.assert_array_equal(found.pop("labels_box_with_hole_at_rest_mm"), [3, np.nan])
    assert not found


def test_a_position_has_one_scale_whatever_its_spread():
    """A height that hardly varies, then 0.1 m off: 1 in the loss, however still the data lay; and the distance in mm."""
    loss = LabelLoss(("cube_position_m",))
    still = np.tile(np.float32([0.1, 0.2, 0.02]), (50, 1)) + np.float32([0, 0, 1e-3]) * np.arange(50)[:, None] / 50
    head = loss.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 2, 3, 4), np.float32), {"cube_position_m": still})
    lifted = {"cube_position_m": still.mean(axis=0, keepdims=True) + np.float32([[0, 0, 0.1]])}
    value, numbers = loss.measure(head, jnp.zeros((1, 1, 3, 4)), jax.tree.map(jnp.asarray, lifted))
    np.testing.assert_allclose(value, [1 / 3], rtol=1e-4)
    np.testing.assert_allclose(numbers["cube_position_mm"], [100.0], rtol=1e-4)


LYING = np.float32([[1, 0, 0, 0], [0.8, 0, 0, 0.6], [0, 1, 0, 0], [0.5, -0.5, 0.5, -0.5]])  # quat_wxyz


def turned(about_z_rad):
    """Each of LYING, turned by so much about the vertical."""
    half, lying = np.reshape(about_z_rad, (-1, 1)) / 2, LYING
    quat = np.cos(half) * lying + np.sin(half) * np.stack(
        [-lying[:, 3], -lying[:, 2], lying[:, 1], lying[:, 0]], axis=1
    )
    return jnp.asarray(quat, jnp.float32)


@pytest.mark.parametrize("off_rad", [0.0, 0.01, 0.5, 3.0])
def test_a_rotation_is_off_by_its_angle_and_a_negative_quaternion_is_the_same(off_rad):
    loss = LabelLoss(("cube_quat_wxyz",), scale_rad=0.5)
    said = 3 * rotations.columns(LYING, np) / 0.5  # of any length: the angle is that of the directions
    head = {"cube_quat_wxyz": {"kernel": jnp.asarray(said), "bias": jnp.zeros(6)}}
    features = jnp.eye(4)[None, :, None]
    value, numbers = loss.measure(head, features, {"cube_quat_wxyz": turned(off_rad)})
    np.testing.assert_allclose(numbers["cube_deg"], np.degrees(off_rad), atol=0.1)
    negative, _ = loss.measure(head, features, {"cube_quat_wxyz": -turned(off_rad)})
    np.testing.assert_array_equal(value, negative)


def test_a_rotations_error_of_the_scale_counts_as_a_positions_and_an_unknown_one_nothing():
    """About an axis that both columns turn around, 2 of 6 numbers are off by (angle / scale_rad)^2, as one of 3 of a position."""
    loss = LabelLoss(("cube_quat_wxyz",), scale_rad=0.1)
    head = loss.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 4, 1, 4), np.float32), {"cube_quat_wxyz": LYING[:1]})
    np.testing.assert_allclose(head["cube_quat_wxyz"]["bias"], [10, 0, 0, 0, 10, 0])
    seen = {"cube_quat_wxyz": turned(0.1).at[1].set(jnp.nan)}
    value, numbers = loss.measure(head, jnp.zeros((1, 4, 1, 4)), seen)
    np.testing.assert_allclose(value[:2], [1 / 3, 0], rtol=1e-2)
    assert np.isnan(numbers["cube_deg"][1]) and np.isfinite(numbers["cube_deg"][0])


def test_a_named_rotation_is_learned_whole_but_for_things_that_turns_says_look_the_same():
    labels = {
        "cube_position_m": np.zeros((3, 3)),
        "cube_quat_wxyz": np.zeros((3, 4)),
        "peg_quat_wxyz": np.zeros((3, 4)),
    }
    chosen = LossConfig("labels", 1.0, ["cube_quat_wxyz", "peg_quat_wxyz"], settings={"turns": {"cube": 4}})
    loss = auxiliary_losses({"x": chosen}, labels)["x"].loss
    assert loss.labels == ("cube_quat_wxyz", "peg_quat_wxyz") and loss.turns == {"cube_quat_wxyz": 4}
    shapes = {
        name: head["bias"].shape
        for name, head in loss.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3, 1, 4), np.float32), labels).items()
    }
    assert shapes == {"cube_quat_wxyz": (2,), "peg_quat_wxyz": (6,)}


def test_absent_cameras_say_nothing(small, labelled):
    losses = Losses(small.model, labelled)
    state, _, batch = first(small, losses)
    config = small.pipeline.model_config
    values = []
    for pixels in (batch["images"], {"base_0_rgb": 255 - batch["images"]["base_0_rgb"]}):
        inputs = inputs_of(batch, pixels)._replace(image_masks={"base_0_rgb": np.zeros(4, bool)})
        values.append(losses.measure(state.params, state.heads, config, inputs, batch["labels"])["cube_loss"])
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (LossConfig("labels", 0.0), r"losses\.x\.weight is 0\.0; expected a positive number"),
        (LossConfig("eyes", 1.0), r"losses\.x\.kind=eyes: expected one of labels; a new one is"),
        (LossConfig("labels", 1.0, ["ball_position_m"]), r"no column labels\.ball_position_m; it has cube_position_m"),
        (
            LossConfig("labels", 1.0, ["cube_colour"]),
            r"names end in _m, or in _quat_wxyz with 4 .*, and cube_colour is none",
        ),
        (LossConfig("labels", 1.0, ["flat_quat_wxyz"]), r"and flat_quat_wxyz is none"),
        (
            LossConfig("labels", 1.0, settings={"scale": 1}),
            r"losses\.x\.settings\.scale: .* it takes scale_m, scale_rad, turns",
        ),
        (LossConfig("labels", 1.0, settings={"scale_m": 0}), r"scale_m is 0; expected metres"),
        (LossConfig("labels", 1.0, settings={"scale_rad": -1}), r"scale_rad is -1; expected radians"),
    ],
)
def test_what_cannot_be_is_named(config, sentence):
    widths = {"cube_position_m": 3, "cube_quat_wxyz": 4, "flat_quat_wxyz": 3, "cube_colour": 3}
    labels = {name: np.zeros((3, width)) for name, width in widths.items()}
    with pytest.raises(ValueError, match=sentence):
        auxiliary_losses({"x": config}, labels)


def test_a_data_set_without_labels_is_refused():
    with pytest.raises(
        ValueError, match=r"losses\.x learns positions and rotations, .* the data set has no labels at all"
    ):
        auxiliary_losses({"x": LossConfig("labels", 1.0)}, {})


LABEL_WORDS = ["losses=labels", "demos.labels=true"]


def test_the_config_names_them_and_only_they_change_a_runs_id():
    plain, more = compose(["demos.labels=true"]), compose(LABEL_WORDS)
    assert plain.losses == {} and set(more.losses) == {"labels"}
    assert more.losses["labels"].weight == 0.3 and isinstance(more.losses["labels"], LossConfig)
    assert compose([*LABEL_WORDS, "losses.labels.weight=1"]).losses["labels"].weight == 1.0
    assert run_id(plain) != run_id(more)
    with pytest.raises(ValueError, match="losses=labels: openpi has no such thing; choose losses=null"):
        compose([*LABEL_WORDS, "trainer=openpi", "size=full"])


def test_a_yaw_is_learned_up_to_the_turns_after_which_a_thing_looks_the_same():
    """A cube turned by a quarter is the same cube; the error is told in degrees of the cube."""
    config = LossConfig("labels", weight=1.0, settings={"turns": {"cube": 4}, "unseen": ["goal"]})
    widths = {"cube_position_m": 3, "cube_quat_wxyz": 4, "goal_position_m": 3, "goal_quat_wxyz": 4}
    loss = of_kind("cube", config, widths)
    assert loss.labels == ("cube_position_m", "cube_quat_wxyz")

    def turned(degrees):
        half = np.deg2rad(np.atleast_1d(degrees).astype(np.float32)) / 2
        return np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=1)

    place = np.zeros((3, 3), np.float32)
    labels = {"cube_position_m": place, "cube_quat_wxyz": turned([10.0, 100.0, 190.0])}
    features = jnp.zeros((1, 3, 2, 4))
    head = loss.init(jax.random.key(0), features, labels)
    np.testing.assert_allclose(
        head["cube_quat_wxyz"]["bias"], [np.cos(0.698132) / SCALE_TURN, np.sin(0.698132) / SCALE_TURN], atol=1e-5
    )
    for degrees, apart in ((10.0, 0.0), (15.0, 5.0), (55.0, 45.0), (97.0, 3.0)):
        seen = {**labels, "cube_quat_wxyz": turned([degrees] * 3)}
        total, numbers = loss.measure(head, features, seen)
        np.testing.assert_allclose(numbers["cube_yaw_deg"], apart, atol=1e-2)
        assert (float(total[0]) > 1e-6) == (apart > 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale_m": 0.0}, r"losses\.cube\.settings\.scale_m is 0\.0; expected metres above 0"),
        ({"turns": {"cube": 0}}, r"losses\.cube\.settings\.turns: .*expected how often"),
        ({"scales": 1}, r"losses\.cube\.settings\.scales: .*it takes scale_m, scale_rad, turns, unseen"),
    ],
)
def test_settings_of_labels_have_domains(settings, message):
    with pytest.raises(ValueError, match=message):
        of_kind("cube", LossConfig("labels", weight=1.0, settings=settings), {NAME: 3})
