"""Labelled scenes: by any number of processes the same, resumed after a kill, known by what is seen; a tower learns on them."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.schema import WarmUpConfig
from pirig.models.kinds import flow_model
from pirig.models.layout import flatten
from pirig.models.towers import keypoints
from pirig.policies.build import model_of
from pirig.scenes import render
from pirig.scenes.labelled import SHARD, Drawn, LabelledScenes, digest_of
from pirig.sim import door
from pirig.training.auxiliary.labels import LabelLoss
from pirig.training.losses import Weighted
from pirig.training.warm_up import heads_started_from, require_heat_maps, started_from, warm_up
from tests.scenes.painted_simulator import SIZE_PX, WORDS, PaintedSimulator, place_m
from tests.wishes.toy_simulator import ToySimulator

SHORT = WarmUpConfig(steps=200, batch_size=16, peak_lr=1e-2)


@pytest.fixture
def drawn():
    return Drawn(800_000, np.random.default_rng(0).normal(0, 0.3, (20, 9)).astype(np.float32), 0.03)


def pixels(scenes):
    return np.concatenate(scenes.images["base_0_rgb"])


def test_two_processes_render_what_one_does_and_a_set_grows(contract, drawn, tmp_path):
    two = render.make(contract, drawn, 3 * SHARD - 5, 2, tmp_path / "two")
    few = render.make(contract, drawn, SHARD, 1, tmp_path / "one")
    kept = (tmp_path / "one" / "shard-00000" / "base_0_rgb.npy").stat().st_mtime_ns
    one = render.make(contract, drawn, 3 * SHARD - 5, 1, tmp_path / "one")
    assert (tmp_path / "one" / "shard-00000" / "base_0_rgb.npy").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(pixels(one), pixels(two))
    labels = one.labels["square_position_m"]
    assert len(labels) == 3 * SHARD - 5 and few.count == SHARD and len(np.unique(pixels(one), axis=0)) == 3 * SHARD
    np.testing.assert_allclose(
        labels[:, :2], [place_m(scene) for scene in range(800_000, 800_000 + len(labels))], rtol=1e-6
    )


def test_a_shard_that_is_missing_is_rendered_again_and_no_other(contract, drawn, tmp_path):
    before = render.make(contract, drawn, 2 * SHARD, 1, tmp_path / "set")
    wanted = pixels(before).copy()
    shutil.rmtree(tmp_path / "set" / "shard-00000")
    with pytest.raises(ValueError, match="1 of 2 shards are missing; run `pirig scenes` again"):
        LabelledScenes(tmp_path / "set", 2 * SHARD)
    np.testing.assert_array_equal(pixels(render.make(contract, drawn, 2 * SHARD, 1, tmp_path / "set")), wanted)


def test_a_set_is_known_by_what_is_seen(contract, drawn, tmp_path):
    known = digest_of(contract, drawn)
    said = dataclasses.replace(contract.scenes[0], prompt="another sentence")
    other_state = dataclasses.replace(contract, scenes=(said,), state=("qpos8",), state_dim=8, control_hz=10)
    assert digest_of(other_state, drawn) == known
    moved = dataclasses.replace(contract.cameras[0], eye_m=(0.5, 0.1, 0.5))
    others = [
        digest_of(dataclasses.replace(contract, cameras=(moved,)), drawn),
        digest_of(dataclasses.replace(contract, image_px=16), drawn),
        digest_of(contract, dataclasses.replace(drawn, noise_rad=0.1)),
        digest_of(contract, dataclasses.replace(drawn, joints=drawn.joints + 0.1)),
    ]
    assert len({known, *others}) == 5
    render.make(contract, drawn, SHARD, 1, tmp_path / "set")
    with pytest.raises(ValueError, match="labelled scenes there were made from something else"):
        render.make(contract, dataclasses.replace(drawn, noise_rad=0.1), SHARD, 1, tmp_path / "set")


def test_a_pose_is_near_one_of_the_demos_and_follows_from_the_scene(drawn):
    poses = np.stack([drawn.pose(scene) for scene in range(200)])
    apart = np.abs(poses[:, None] - drawn.joints[None])
    assert apart[..., 7:].max(axis=2).min(axis=1).max() == 0 and apart[..., :7].max(axis=2).min(axis=1).max() < 0.15
    np.testing.assert_array_equal(drawn.pose(7), drawn.pose(7))


def test_a_simulator_that_cannot_place_its_arm_is_no_arranged_one(contract):
    assert isinstance(PaintedSimulator(contract), door.ArrangedSimulator)
    assert not isinstance(ToySimulator(contract), door.ArrangedSimulator)


def test_a_tower_learns_where_the_square_is_once_for_all_runs(contract, drawn, tmp_path, capsys):
    scenes = render.make(contract, drawn, 16 * SHARD, 1, tmp_path / "set")
    model = model_of(compose(WORDS), vocab_size=64)

    def place(digest):
        return tmp_path / f"tower-{digest}"

    warmed = warm_up([scenes], model, SHORT, place)
    curve = [point["errors"]["square_position_mm"]["median"] for point in warmed.record["curve"]]
    assert curve[-1] < 10 and curve[-1] < 0.5 * curve[0], curve  # a pixel is 10 mm
    assert "square off by" in capsys.readouterr().out
    began = (warmed.folder / "weights.npz").stat().st_mtime_ns
    again = warm_up([scenes], model, SHORT, place)
    assert again.folder == warmed.folder and (warmed.folder / "weights.npz").stat().st_mtime_ns == began
    assert 0 < curve[-1] < warmed.record["guess"]["square_position_mm"] and "not learned" not in warmed.said()
    other = warm_up([scenes], model, dataclasses.replace(SHORT, steps=2), place)
    assert other.folder != warmed.folder and "; not learned: square (a guess is off by " in other.said()

    params = started_from(flow_model().init_params(jax.random.key(0), model), model, warmed)
    np.testing.assert_array_equal(flatten(params)["tower/keypoints/stem/kernel"], flatten(warmed.tower)["stem/kernel"])
    fresh = {"labels": jax.tree.map(np.zeros_like, warmed.heads)}
    usual = {"labels": Weighted(LabelLoss(("square_position_m",)), 0.3)}
    taken = heads_started_from(fresh, usual, warmed)
    assert np.abs(np.asarray(taken["labels"]["square_position_m"]["kernel"])).max() > 0
    scaled = {"labels": Weighted(LabelLoss(("square_position_m",), scale_m=0.2), 0.3)}
    assert not np.asarray(heads_started_from(fresh, scaled, warmed)["labels"]["square_position_m"]["kernel"]).any()
    larger = model_of(compose([*WORDS, "tower.settings.channels=16"]), vocab_size=64)
    with pytest.raises(ValueError, match="is not that of tower=keypoints; warm it up again"):
        started_from(flow_model().init_params(jax.random.key(0), larger), larger, warmed)


def test_a_heat_map_learns_where_the_picture_shows_the_square_only_if_it_is_taught(contract, drawn, tmp_path):
    """The first map's expected place beside the square's corner, on scenes that were not learned from: a pixel is 1/16."""
    scenes = render.make(contract, drawn, 16 * SHARD, 1, tmp_path / "set")
    at = scenes.places["square_position_m"]
    assert at.shape == (16 * SHARD, 1, 2)
    np.testing.assert_allclose(at[:, 0], scenes.labels["square_position_m"][:, :2] * (200 / SIZE_PX) - 1, atol=1e-6)
    model = model_of(compose(WORDS), vocab_size=64)
    unseen = render.make(contract, dataclasses.replace(drawn, first_scene=900_000), SHARD, 1, tmp_path / "unseen")

    def off(settings):
        tower = warm_up([scenes], model, settings, lambda digest: tmp_path / digest).tower
        images = {"base_0_rgb": pixels(unseen)}
        _, log_heat = keypoints.encode_with_heat(tower, model.image, images, dtype=np.float32, remat=False)
        heat, side = np.exp(np.asarray(log_heat[0, ..., 0])), log_heat.shape[2]
        middles = (2 * np.arange(side) + 1) / side - 1
        found = np.stack([np.einsum("byx,x->b", heat, middles), np.einsum("byx,y->b", heat, middles)], axis=-1)
        return float(np.median(np.linalg.norm(found - unseen.places["square_position_m"][:, 0], axis=-1)))

    taught, left_alone = off(dataclasses.replace(SHORT, places=0.1)), off(SHORT)
    assert taught < 1 / 16 < 3 / 16 < left_alone


def test_a_tower_without_heat_maps_is_not_asked_to_learn_them():
    model = model_of(compose([*WORDS[:4], "tower=siglip", "size.patch_px=4"]), vocab_size=64)
    require_heat_maps(model, SHORT)
    with pytest.raises(ValueError, match=r"tower\.warm_up\.places=0\.02: tower=siglip has no heat maps"):
        require_heat_maps(model, dataclasses.replace(SHORT, places=0.02))


class HiddenAtTimes(PaintedSimulator):
    def in_sight(self):
        return {"square_position_m": 0.0 if self.scene % 4 == 0 else 0.035}


def test_what_is_out_of_sight_is_not_asked(contract, drawn, tmp_path):
    scenes = render.make(contract, drawn, 2 * SHARD, 1, tmp_path / "set")
    whole = scenes.labels["square_position_m"].copy()
    for number in (0, 1):
        shutil.rmtree(tmp_path / "set" / f"shard-0000{number}")
        render.render_shard(HiddenAtTimes(contract), drawn, tmp_path / "set", number)
    scenes = LabelledScenes(tmp_path / "set", 2 * SHARD)
    labels = scenes.labels["square_position_m"]
    hidden = np.arange(800_000, 800_000 + 2 * SHARD) % 4 == 0
    assert np.isnan(labels[hidden]).all() and np.array_equal(labels[~hidden], whole[~hidden])
    model = model_of(compose(WORDS), vocab_size=64)
    warmed = warm_up([scenes], model, dataclasses.replace(SHORT, steps=4), lambda digest: tmp_path / digest)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((warmed.tower, warmed.heads)))

    labels[:] = np.nan
    with pytest.raises(ValueError, match="no thing of the task is in sight in any scene"):
        warm_up([scenes], model, SHORT, lambda digest: tmp_path / "none")
    with pytest.raises(ValueError, match="the scenes show no square_position_m"):
        asked = dataclasses.replace(SHORT, labels=["square_position_m"])
        warm_up([scenes], model, asked, lambda digest: tmp_path / "none")


def test_a_label_that_a_task_lacks_is_passed_over(contract, drawn, tmp_path):
    """Two tasks in one warm-up: the second has a label of its own besides."""
    first = render.make(contract, drawn, SHARD, 1, tmp_path / "first")
    second = LabelledScenes(tmp_path / "first", SHARD)
    second.labels = {**second.labels, "bin_position_m": second.labels["square_position_m"] + 0.1}
    model = model_of(compose(WORDS), vocab_size=64)
    warmed = warm_up([first, second], model, dataclasses.replace(SHORT, steps=4), lambda digest: tmp_path / digest)
    assert set(warmed.heads) == {"square_position_m", "bin_position_m"}
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(warmed.tower))
    loss = LabelLoss(("a_m", "b_m"))
    features = jax.random.normal(jax.random.key(0), (1, 2, 3, 4))
    labels = {"a_m": np.ones((2, 3), np.float32), "b_m": np.ones((2, 3), np.float32)}
    head = loss.init(jax.random.key(1), features, labels)
    labels["b_m"][1] = np.nan
    both, numbers = loss.measure(head, features, labels)
    alone, _ = LabelLoss(("a_m",)).measure(head, features, labels)
    np.testing.assert_allclose(both[1], alone[1], rtol=1e-5)
    assert np.isnan(numbers["b_mm"][1]) and np.isfinite(numbers["b_mm"][0])


@pytest.mark.parametrize("places", [0.0, 0.1])
def test_things_of_one_look_are_placed_only_where_their_order_is_left_open(contract, drawn, tmp_path, places):
    door.register("painted_two", "tests.scenes.painted_simulator:PaintedTwo")
    two = contract_of(compose([*WORDS[:-1], "task.simulator=painted_two"]))
    scenes = render.make(two, drawn, 16 * SHARD, 1, tmp_path / "set")
    model = model_of(compose(WORDS), vocab_size=64)

    def off_mm(alike):
        settings = dataclasses.replace(SHORT, steps=300, places=places, alike=alike)
        warmed = warm_up([scenes], model, settings, lambda digest: tmp_path / digest)
        assert warmed.record["made_from"].get("alike", []) == [list(group) for group in alike.values()]
        return [error["median"] for error in warmed.record["errors"].values()]

    with pytest.raises(ValueError, match=r"tower\.warm_up\.alike: square_0 is named twice; expected each thing once"):
        off_mm({"square": ["square_0", "square_0"]})
    named, open_order = off_mm({}), off_mm({"square": ["square_0", "square_1"]})
    assert max(open_order) < 20 and min(named) > 2 * max(open_order), (named, open_order)  # a pixel is 10 mm
