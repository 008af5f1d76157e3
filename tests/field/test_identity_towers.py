"""Labelled scenes and the towers that learned on them: known by content, adopted once, refused with both, torn ones named."""

import dataclasses
import json
import re
import shlex
import shutil

import jax
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.schema import WarmUpConfig
from pirig.files import identity
from pirig.files.identity import IdentityError
from pirig.policies.build import model_of
from pirig.scenes import render
from pirig.scenes.labelled import LABELS, RECORD, SHARD, Drawn, LabelledScenes
from pirig.sim import door
from pirig.training import warmed
from pirig.training.warm_up import warm_up
from tests.scenes.painted_simulator import WORDS

SHORT = WarmUpConfig(steps=2, batch_size=4)
MADE = identity.FILE_NAME


@pytest.fixture(scope="module")
def contract():
    known = dict(door.IMPLEMENTATIONS)
    door.register("painted", "tests.scenes.painted_simulator:Painted")
    yield contract_of(compose(WORDS))
    door.IMPLEMENTATIONS.clear()
    door.IMPLEMENTATIONS.update(known)


@pytest.fixture(scope="module")
def drawn():
    return Drawn(800_000, np.zeros((1, 9), np.float32), 0.03)


@pytest.fixture(scope="module")
def model():
    return model_of(compose(WORDS), vocab_size=64)


@pytest.fixture(scope="module")
def made(contract, drawn, model, tmp_path_factory):
    """A folder with a set of two shards and a tower."""
    folder = tmp_path_factory.mktemp("made")
    scenes = render.make(contract, drawn, 2 * SHARD, 1, folder / "scenes")
    warm_up([scenes], model, SHORT, lambda digest: folder / "tower")
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A copy of it. What is made anew is not fitted again."""
    first = warmed.load(made / "tower")

    class Fitted:
        def __init__(self, *_):
            pass

        def run(self):
            return first.tower, first.heads, {"errors": first.record["errors"]}

    monkeypatch.setattr("pirig.training.warm_up._Fit", Fitted)
    return shutil.copytree(made, tmp_path / "own")


def again(place, model, settings=SHORT):
    """The tower at `place`, whatever it is asked for: as if two digests were one name."""
    return warm_up([LabelledScenes(place / "scenes", 2 * SHARD)], model, settings, lambda digest: place / "tower")


def changed(file, change):
    array = np.load(file)
    np.save(file, change(array))


def test_a_tower_of_the_same_scenes_is_used_and_said(place, model, capsys):
    first = again(place, model)
    assert f"{place / 'tower'} is there already, of the same scenes" in capsys.readouterr().out
    moved = place.rename(place.with_name("moved"))
    second = again(moved, model)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(first.tower), jax.tree.leaves(second.tower), strict=True))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda place: changed(place / "scenes/shard-00001/base_0_rgb.npy", lambda a: 255 - a), "scenes of task 1: "),
        (
            lambda place: np.savez(place / "scenes/shard-00000" / LABELS, square_position_m=np.ones((SHARD, 3))),
            "scenes of task 1: ",
        ),
        (lambda place: dataclasses.replace(SHORT, steps=3), "steps: 2 then, 3 now"),
        (lambda place: dataclasses.replace(SHORT, seed=4), "seed: 0 then, 4 now"),
        (lambda place: dataclasses.replace(SHORT, peak_lr=1e-2), "peak_lr: "),
    ],
)  # fmt: skip
def test_what_differs_is_named_with_both_and_the_remedy_works(place, model, change, named):
    settings = change(place)
    settings = settings if isinstance(settings, WarmUpConfig) else SHORT
    before = {file: file.read_bytes() for file in (place / "tower").iterdir()}
    with pytest.raises(IdentityError, match=re.escape(named)) as refused:
        again(place, model, settings)
    assert {file: file.read_bytes() for file in (place / "tower").iterdir()} == before
    _, source, target = shlex.split(str(refused.value).rpartition("first: ")[2])
    shutil.move(source, target)
    assert again(place, model, settings).folder == place / "tower"


def test_a_tower_without_a_record_is_taken_in_once_and_said(place, model, capsys):
    (place / "tower" / MADE).unlink()
    again(place, model)
    assert "it had no record" in capsys.readouterr().out and (place / "tower" / MADE).is_file()
    again(place, model)
    assert "no record" not in capsys.readouterr().out
    (place / "tower" / MADE).unlink()
    with pytest.raises(IdentityError, match="batch_size: 4 then, 8 now"):
        again(place, model, dataclasses.replace(SHORT, batch_size=8))


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_bytes(b""),
        lambda file: file.unlink(),
    ],
    ids=["cut off", "empty", "gone"],
)
@pytest.mark.parametrize("name", [warmed.WEIGHTS, warmed.RECORD])
def test_a_torn_tower_is_named_and_made_anew_where_it_was_moved(place, model, name, change):
    change(place / "tower" / name)
    with pytest.raises(ValueError, match=rf"{re.escape(str(place / 'tower' / name))}: .* is damaged") as refused:
        again(place, model)
    _, source, target = shlex.split(str(refused.value).rpartition("first: ")[2])
    shutil.move(source, target)
    assert again(place, model).folder.is_dir()


def test_weights_that_are_not_finite_are_no_tower(place, model):
    file = place / "tower" / warmed.WEIGHTS
    with np.load(file) as arrays:
        whole = {name: arrays[name] for name in arrays.files}
    name = next(iter(whole))
    np.savez(file, **{**whole, name: np.full_like(whole[name], np.nan)})
    with pytest.raises(ValueError, match="numbers that are not finite"):
        again(place, model)


def test_a_run_knows_its_tower_by_its_weights(place):
    known = warmed.content_of(place / "tower")
    assert warmed.content_of(place.rename(place.with_name("moved")) / "tower") == known
    file = place.with_name("moved") / "tower" / warmed.WEIGHTS
    with np.load(file) as arrays:
        np.savez(file, **{name: arrays[name] + 1 for name in arrays.files})
    assert warmed.content_of(file.parent) != known


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shard: (shard / LABELS).write_bytes((shard / LABELS).read_bytes()[:50]), LABELS),
        (lambda shard: (shard / LABELS).unlink(), LABELS),
        (lambda shard: (shard / "base_0_rgb.npy").write_bytes(b"\x93NUMPY"), "base_0_rgb.npy"),
        (lambda shard: changed(shard / "base_0_rgb.npy", lambda a: a[:7]), r"uint8 \[7, 32, 32, 3\], expected uint8"),
        (lambda shard: changed(shard / "base_0_rgb.npy", lambda a: a / 255), "float64"),
        (lambda shard: np.savez(shard / LABELS, other_m=np.ones((SHARD, 3))), "its labels are other_m"),
        (lambda shard: np.savez(shard / LABELS, square_position_m=np.ones((3, 3))), r"\[3, 3\], expected \[32, k\]"),
    ],
)  # fmt: skip
def test_a_torn_shard_is_named_and_rendered_anew_where_it_was_removed(place, contract, drawn, change, said):
    change(place / "scenes/shard-00001")
    with pytest.raises(ValueError, match=rf"shard-00001: labelled scenes are damaged \(.*{said}") as refused:
        render.make(contract, drawn, 2 * SHARD, 1, place / "scenes")
    command = re.search(r"\(rm -r (.*?)\) and run `pirig scenes`", str(refused.value))
    shutil.rmtree(*shlex.split(command[1]))
    assert render.make(contract, drawn, 2 * SHARD, 1, place / "scenes").count == 2 * SHARD


def test_a_set_is_another_sets_or_taken_in_once(place, contract, drawn, model):
    (place / "scenes" / MADE).unlink()
    render.make(contract, drawn, 2 * SHARD, 1, place / "scenes")
    assert "known by the digest" in json.loads((place / "scenes" / MADE).read_text())["adopted"]
    noisy = dataclasses.replace(drawn, noise_rad=0.1)
    with pytest.raises(IdentityError, match=r"noise_rad: 0.03 then, 0.1 now"):
        render.make(contract, noisy, 2 * SHARD, 1, place / "scenes")
    (place / "scenes" / MADE).unlink()
    with pytest.raises(IdentityError, match="labelled scenes there were made from something else"):
        render.make(contract, noisy, 2 * SHARD, 1, place / "scenes")
    (place / "scenes" / RECORD).write_text("{")
    with pytest.raises(ValueError, match=r"cannot be read .* remove it \(rm "):
        render.make(contract, drawn, 2 * SHARD, 1, place / "scenes")
