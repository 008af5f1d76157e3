"""Things of one look: learned in whichever order fits a sample, told apart by nothing but where they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.schema import LossConfig
from pirig.training.auxiliary.labels import ENDINGS, LabelLoss, make, of_labels
from pirig.training.look_alikes import learned_groups, orders

BOWLS = {"bowl": ["bowl_1", "bowl_2"]}
LABELS = ("bowl_1_position_m", "bowl_2_position_m", "plate_position_m")


def test_every_order_is_tried_and_what_is_not_alike_stays():
    assert orders(LABELS, [("bowl_1", "bowl_2")], ENDINGS) == ((0, 1, 2), (1, 0, 2))
    assert orders(LABELS, [], ENDINGS) == ((0, 1, 2),)
    turned = (*LABELS, "bowl_1_quat_wxyz", "bowl_2_quat_wxyz")
    assert orders(turned, [("bowl_1", "bowl_2")], ENDINGS)[1] == (1, 0, 2, 4, 3)  # a thing's labels go together
    three = [f"cup_{number}_position_m" for number in range(3)]
    both = orders((*LABELS, *three), [("bowl_1", "bowl_2"), ("cup_0", "cup_1", "cup_2")], ENDINGS)
    assert len(set(both)) == 12 and both[0] == tuple(range(6)) and {order[2] for order in both} == {2}


def measured(loss, places, labels):
    """With heads that say `places` [B, labels, 3] whatever is seen."""
    results = []
    for row, said in enumerate(places):
        head = {
            name: {"kernel": jnp.zeros((4, 3)), "bias": jnp.asarray(at / loss.scale_m)}
            for name, at in zip(loss.labels, said, strict=True)
        }
        seen = {name: jnp.asarray(values[row : row + 1]) for name, values in labels.items()}
        value, numbers = loss.measure(head, jnp.zeros((1, 1, 1, 4)), seen)
        results.append((float(value[0]), {name: float(number[0]) for name, number in numbers.items()}))
    return results


def test_each_sample_has_the_order_that_fits_it_and_a_number_is_the_things():
    at = np.array([[0.1, 0.0, 0.0], [-0.1, 0.2, 0.0], [0.0, 0.0, 0.3]], np.float32)
    off = np.array([[0.01, 0, 0], [0, 0.02, 0], [0, 0, 0]], np.float32)
    named = np.stack([at + off, (at + off)[[1, 0, 2]], at[[2, 1, 0]]])  # as it is; bowls exchanged; a plate is no bowl
    labels = {name: np.repeat(place[None], 3, axis=0) for name, place in zip(LABELS, at, strict=True)}
    alike = of_labels(LABELS, (), alike=BOWLS)
    assert alike.labels == LABELS and alike.alike == (("bowl_1", "bowl_2"),)
    (usual, told), (swapped, told_swapped), (wrong, _) = measured(alike, named, labels)
    assert usual == pytest.approx(swapped) == pytest.approx((0.1**2 + 0.2**2) / 9, rel=1e-4)
    assert told == pytest.approx(told_swapped, abs=1e-3)
    assert told == pytest.approx({"bowl_1_position_mm": 10, "bowl_2_position_mm": 20, "plate_position_mm": 0}, abs=1e-3)
    strict = measured(LabelLoss(LABELS), named, labels)
    assert strict[0][0] == pytest.approx(usual) and strict[1][0] > 100 * usual and wrong == pytest.approx(strict[2][0])


def test_a_bowl_out_of_sight_leaves_the_other_to_whichever_head_is_near():
    at = np.array([[np.nan] * 3, [0.1, 0.2, 0.0], [0.0, 0.0, 0.3]], np.float32)
    labels = {name: place[None] for name, place in zip(LABELS, at, strict=True)}
    said = np.array([[[0.1, 0.2, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.3]]], np.float32)
    ((value, numbers),) = measured(of_labels(LABELS, (), alike=BOWLS), said, labels)
    assert value == pytest.approx(0, abs=1e-9) and np.isnan(numbers["bowl_1_position_mm"])
    assert numbers["bowl_2_position_mm"] == pytest.approx(0, abs=1e-3)


def test_what_the_order_costs_beside_the_labels_counts_and_only_of_the_order_that_is_taken():
    loss = of_labels(LABELS, (), alike=BOWLS)
    labels = {name: jnp.zeros((2, 3)) for name in LABELS}
    head = {name: {"kernel": jnp.zeros((4, 3)), "bias": jnp.zeros(3)} for name in LABELS}

    def cost(beside):
        return loss.measure(head, jnp.zeros((1, 2, 1, 4)), labels, beside)[0].sum()

    beside = jnp.array([[1.0, 5.0], [3.0, 2.0]])
    np.testing.assert_allclose(cost(beside), 1.0 + 2.0)
    np.testing.assert_array_equal(jax.grad(cost)(beside), [[1, 0], [0, 1]])


def test_of_things_that_are_not_learned_nothing_is_exchanged():
    assert learned_groups(LABELS, {"bowl": ["bowl_1", "bowl_3"], "cup": ["cup_1", "cup_2"]}, ENDINGS) == ()
    assert make("x", LossConfig("labels", 1.0, settings={"alike": {}}), {LABELS[0]: 3}).alike == ()


@pytest.mark.parametrize(
    ("alike", "sentence"),
    [
        ({"a": ["bowl_1", "bowl_2"], "b": ["bowl_2", "plate"]}, r"settings\.alike: bowl_2 is named twice"),
        ({"a": ["bowl_1", "plate"]}, r"alike: of bowl_1 _position_m, _quat_wxyz is learned and of plate _position_m;"),
        ({"a": ["bowl_1", "bowl_2"]}, r"alike: bowl_1, bowl_2 differ in turns"),
        (
            {"a": [f"cup_{number}" for number in range(6)]},
            r"alike: 720 orders .* at most 120; name fewer things of one look",
        ),
    ],
)
def test_what_cannot_be_alike_is_named(alike, sentence):
    widths = {**dict.fromkeys(LABELS, 3), **{f"cup_{number}_position_m": 3 for number in range(6)}}
    widths |= {"bowl_1_quat_wxyz": 4, "bowl_2_quat_wxyz": 4}
    chosen = [*LABELS, "bowl_1_quat_wxyz", "bowl_2_quat_wxyz", *(f"cup_{number}_position_m" for number in range(6))]
    settings = {"alike": alike, "turns": {"bowl_1": 2}}
    with pytest.raises(ValueError, match=sentence):
        make("x", LossConfig("labels", 1.0, chosen, settings), widths)


def test_the_task_says_it_to_the_warm_up_and_to_the_loss():
    config = compose(["experiment=libero_spatial_scratch"])
    assert config.task.alike == config.tower.warm_up.alike == config.losses["labels"].settings["alike"]
    assert config.task.alike == {"akita_black_bowl": ["akita_black_bowl_1", "akita_black_bowl_2"]}
    assert compose(["experiment=eyes"]).task.alike == {}
