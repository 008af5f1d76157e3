"""The situation is made, the message is read, and what it advises is accepted in that very state."""

import re

import numpy as np
import pytest

from pirig.config.load import compose, of_run
from pirig.config.places import places_of
from pirig.config.schema import LossConfig, ScheduleConfig
from pirig.evaluation.seeds import held_out_scenes, step_limit
from pirig.files.orbax import reading
from pirig.gates.finding import GateError, require_good, run_gates
from pirig.runs.progress import chosen_checkpoint
from pirig.runs.record import open_run
from pirig.training.losses import auxiliary_losses
from pirig.training.schedules import make_schedule
from pirig.training.sharding import make_placement
from pirig.training.validation import held_out_episodes
from pirig.transforms.images import resize_named


def advised(refused, pattern):
    """The words of the message that match, each as typed."""
    words = re.findall(pattern, str(refused.value))
    assert words, str(refused.value)
    return [word.rstrip(".;") for word in words]


def opened(tmp_path, *words):
    config = compose([f"run.root={tmp_path}", *words])
    return config, open_run(config, places_of(config))


@pytest.mark.parametrize("remedy", ["run.mode=resume", "run.mode=overwrite", "run.name=another"])
def test_a_run_that_is_there(tmp_path, remedy):
    opened(tmp_path)
    with pytest.raises(ValueError) as refused:
        opened(tmp_path)
    assert advised(refused, remedy.replace("another", r"\.\.\.")) and opened(tmp_path, remedy)


@pytest.mark.parametrize("remedy", ["run.mode=overwrite", "run.name=another"])
def test_a_run_of_other_settings(tmp_path, remedy):
    opened(tmp_path, "run.name=a")
    changed = ["train.seed=3", "run.name=a"]
    with pytest.raises(ValueError) as refused:
        opened(tmp_path, *changed, "run.mode=resume")
    assert advised(refused, remedy.replace("another", r"\.\.\."))
    changed = changed[:1] if remedy.startswith("run.name") else changed
    assert opened(tmp_path, *changed, remedy)


def test_gates_that_do_not_pass():
    gates = {"acts": lambda: ["it stands still"], "chunk": lambda: [], "finite": lambda: ["NaN"]}
    with pytest.raises(GateError) as refused:
        require_good(run_gates(gates, []), "training")
    (word,) = advised(refused, r"gates\.skip=\[[^\]]+\]")
    require_good(run_gates(gates, compose([word]).gates.skip), "training")


def test_a_run_without_a_checkpoint(tmp_path):
    config, folder = opened(tmp_path)
    with pytest.raises(ValueError) as refused:
        chosen_checkpoint(config, folder)
    assert advised(refused, r"run\.checkpoint=FOLDER") and advised(refused, "`pirig train`")
    (tmp_path / "elsewhere").mkdir()
    chosen_checkpoint(of_run(folder, [f"run.checkpoint={tmp_path}/elsewhere"]), folder)


def test_a_step_that_was_cut_off(tmp_path):
    config, folder = opened(tmp_path)
    for step in (2, 4):
        (folder / "checkpoints" / str(step) / "params").mkdir(parents=True)
    with pytest.raises(ValueError) as refused, reading(folder / "checkpoints" / "4" / "params"):
        raise OSError("torn")
    (word,) = advised(refused, r"run\.checkpoint=\S+")
    assert chosen_checkpoint(of_run(folder, [word]), folder).name == "2"
    ((old, new),) = re.findall(r"\(mv (\S+) (\S+)\)", str(refused.value))
    (folder / "checkpoints" / "4").rename(new)
    assert old.endswith("/4") and chosen_checkpoint(config, folder).name == "2"


def test_scenes_that_demos_used():
    with pytest.raises(ValueError) as refused:
        held_out_scenes(10, 4, [12, 40])
    (above,) = advised(refused, r"eval\.first_seed above (\d+)")
    assert held_out_scenes(compose([f"eval.first_seed={int(above) + 100_000}"]).eval.first_seed, 4, [12, 40])


@pytest.mark.parametrize("asked", [(50, 1.5), (0, 0.5)])
def test_a_limit_that_is_too_short(asked):
    lengths = [60, 70, 81]
    with pytest.raises(ValueError) as refused:
        step_limit(*asked, lengths)
    (word,) = advised(refused, r"eval\.max_steps=(?!50)\d+")
    assert step_limit(compose([word]).eval.max_steps, 1.5, lengths) and step_limit(0, 1.5, lengths)


def test_a_warm_up_that_is_all_there_is():
    with pytest.raises(ValueError) as refused:
        make_schedule(ScheduleConfig(warmup_steps=100), 50)
    (word,) = advised(refused, r"choose (schedule\.warmup_steps=\d+)")
    config = compose([word, "train.steps=50"])
    make_schedule(config.schedule, config.train.steps)


def test_a_share_that_leaves_nothing():
    with pytest.raises(ValueError) as refused:
        held_out_episodes(1, 0.05, 0)
    assert advised(refused, r"0 \(none held out\)") and held_out_episodes(1, 0, 0) == []
    assert len(held_out_episodes(40, 0.05, 0)) == 2


def test_a_batch_that_does_not_divide():
    with pytest.raises(ValueError) as refused:
        make_placement(1, batch_size=7, accumulate=2)
    (word,) = advised(refused, r"train\.batch_size=(?!7 )\d+")
    batch_size = compose([word]).train.batch_size
    make_placement(1, batch_size=batch_size, accumulate=2)


def test_names_that_are_none():
    with pytest.raises(ValueError) as refused:
        resize_named("stretch")
    for name in advised(refused, r"expected one of ([^(]+) \(")[0].split(", "):
        resize_named(compose([f"size.resize={name}"]).size.resize)
    labels = {"cube_m": np.zeros((4, 3), np.float32)}
    with pytest.raises(ValueError) as refused:
        auxiliary_losses({"labels": LossConfig("label", 1.0)}, labels)
    (kinds,) = advised(refused, r"expected one of ([^;]+)")
    assert "labels" in kinds and auxiliary_losses({"labels": LossConfig("labels", 1.0)}, labels)
