"""Points compose as Hydra would, carry their ids, and are refused before anything starts where they cannot be right."""

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from pirig.config.load import register_schema
from pirig.runs.identity import run_id
from pirig.sweeps.points import Composer, read_points


@pytest.fixture(scope="module")
def composer():
    register_schema()
    with hydra.initialize_config_module("pirig.conf", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", ["schedule.warmup_steps=7"], run_mode=RunMode.MULTIRUN)
        yield Composer(loader, master)


@pytest.mark.parametrize(
    "words",
    [
        ["train.seed=3", "run.name='x-${train.seed}'"],
        ["task=stack_cube", "camera=wrist", "horizon=h20", "schedule.peak_lr=1e-3"],
        ["experiment=smoke", "train.seed=1"],
        ["gates.skip=[images,seeds]", "demos.path=null", "camera.entries.base.fov_rad=0.5"],
    ],
)
def test_composes_as_hydra_does(composer, words):
    expected = hydra.compose("config", words)
    assert OmegaConf.to_container(composer.compose(words)) == OmegaConf.to_container(expected)


def test_a_later_point_does_not_inherit_from_an_earlier_one(composer):
    composer.compose(["train.seed=5", "train.steps=9"])
    assert composer.compose(["train.seed=6"]).train.steps == 1000


def test_points_are_named_by_their_ids(composer):
    one, two = read_points([["train.seed=1"], ["train.seed=1", "schedule.peak_lr=1"]], composer.compose)
    for point in (one, two):
        assert point.config.run.name == f"push_cube-pi05-tiny-nowrist-joints-h16-s1-{run_id(point.config)}"
    assert one.config.run.name != two.config.run.name


def test_equal_points_are_one(composer):
    assert len(read_points([["train.seed=1"], ["train.seed=1"]], composer.compose)) == 1


@pytest.mark.parametrize("second", [["run.name=x", "train.seed=2"], ["run.name=x", "eval.execute=4"]])
def test_two_points_never_share_a_folder(composer, second):
    with pytest.raises(ValueError, match="would both write outputs/default/x"):
        read_points([["run.name=x", "train.seed=1"], second], composer.compose)


def test_every_contradiction_is_told_at_once(composer):
    points = [["train.seed=1"], ["horizon=h50"], ["fsdp=fsdp8", "train.batch_size=3"]]
    with pytest.raises(ValueError, match=r"(?s)2 of 3 points.*horizon=h50\n.*horizon of at most.*train\.batch_size=8"):
        read_points(points, composer.compose)
