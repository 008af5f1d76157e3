"""A run's id changes with its result and with nothing else."""

import pytest

from pirig.config.load import compose
from pirig.runs import identity
from pirig.runs.identity import named_by_id, run_id
from pirig.runs.record import training_slice


@pytest.fixture(scope="module")
def plain():
    return run_id(compose([]))


@pytest.mark.parametrize(
    "change",
    ["train.seed=1", "task=pull_cube", "camera=wrist", "horizon=20", "fsdp=8", "train.peak_lr=1e-4", "demos.count=65"],
)
def test_what_changes_the_result_changes_the_id(plain, change):
    assert run_id(compose([change])) != plain


@pytest.mark.parametrize(
    "change",
    ["run.root=/x", "run.name=mine", "run.mode=resume", "eval.episodes=7", "demos.workers=9", "train.log_every=3",
     "train.save_every=7", "train.wandb=offline", "train.memory_fraction=0.9", "sweep.wait=false", "gates.skip=[images]"],
)  # fmt: skip
def test_what_does_not_change_it_does_not(plain, change):
    assert run_id(compose([change])) == plain


def test_a_key_that_a_later_version_adds_changes_no_id(plain, monkeypatch):
    def without_a_key(config):
        part = training_slice(config)
        del part["train"]["flow_samples"], part["finetune"]["freeze_vision"], part["control"]["relative_to_state"]
        return part

    monkeypatch.setattr(identity, "training_slice", without_a_key)
    assert run_id(compose([])) == plain


def test_the_name_ends_with_the_id(plain):
    assert named_by_id(compose([])).run.name == f"push_cube-pi05-tiny-nowrist-joints-h16-s0-{plain}"
