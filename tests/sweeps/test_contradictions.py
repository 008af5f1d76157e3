"""A sweep whose points partly contradict themselves names the values, and offers the axis that leaves them out."""

import itertools
import os
import subprocess
import sys

import pytest

from pirig.sweeps.contradictions import explain


def grid(*axes):
    return list(itertools.product(*axes))


def broken(points, *sets):
    return {n: "because" for n, words in enumerate(points) if any(set(one) <= set(words) for one in sets)}


def test_pairs_are_named_once_and_paired():
    points = grid(
        ["size=full"], ["model=pi0", "model=pi05"], ["weights=a", "weights=b"], ["train.seed=0", "train.seed=1"]
    )
    told = explain(points, broken(points, ("model=pi0", "weights=b"), ("model=pi05", "weights=a")))
    assert told.splitlines() == [
        "4 of 8 points contradict themselves:",
        "  model=pi0 with weights=b",
        "    because",
        "  model=pi05 with weights=a",
        "    because",
        "Leave them out with one axis in place of model and weights: pair='model=pi0 weights=a | model=pi05 weights=b'",
    ]


def test_a_value_that_goes_with_nothing_is_named_alone():
    points = grid(["horizon=h16", "horizon=h50"], ["train.seed=0", "train.seed=1"])
    told = explain(points, broken(points, ("horizon=h50",)))
    assert told.splitlines() == ["2 of 4 points contradict themselves:", "  horizon=h50", "    because"]


def test_what_all_points_say_is_told_once():
    points = grid(["horizon=h50"], ["train.seed=0", "train.seed=1"])
    assert explain(points, broken(points, ("horizon=h50",))) == "every point contradicts itself:\n    because"


def test_three_values_that_meet_are_the_whole_point():
    points = grid(["a=1", "a=2"], ["b=1", "b=2"], ["c=1", "c=2"])
    told = explain(points, broken(points, ("a=1", "b=1", "c=1")))
    assert "  a=1 with b=1 with c=1\n" in told and "pair=" not in told


WORDS = ["train", "-m", "size=full", "model=pi0,pi05", "train.seed=0,1", "sweep.dry_run=true"]


@pytest.fixture
def pirig(tmp_path):
    def run(*words):
        options = {"cwd": tmp_path, "env": {**os.environ, "COLUMNS": "250"}}
        return subprocess.run([sys.executable, "-m", "pirig", *words], capture_output=True, text=True, **options)

    return run


def test_what_is_offered_works(pirig):
    refused = pirig(*WORDS, "weights=pi0_base,pi05_base")
    assert refused.returncode == 1 and "  model=pi0 with weights=pi05_base\n" in refused.stderr
    offered = refused.stderr.strip().splitlines()[-1].partition(": ")[2].replace("'", "")
    assert offered == "pair=model=pi0 weights=pi0_base | model=pi05 weights=pi05_base"
    done = pirig(*[word for word in WORDS if not word.startswith("model=")], offered)
    assert "points: 4 (4 start)" in done.stdout, done.stderr


def test_base_weights_need_no_pair(pirig):
    assert "points: 4 (4 start)" in pirig(*WORDS, "weights=base").stdout


def test_numbers_pairs_and_old_keys_in_an_experiments_sweep(pirig, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [smoke, _self_]\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      horizon: 8,12\n      train.peak_lr: 1e-3,1e-4\n"
        "      pair: task=push_cube train.seed=1 | task=pull_cube train.seed=2\n"
    )
    done = pirig("train", f"--config-dir={tmp_path}", "experiment=mine", "sweep.dry_run=true")
    assert "points: 8 (8 start)" in done.stdout, done.stderr
    assert "horizon=h12 schedule.peak_lr=0.0001 task=pull_cube train.seed=2" in " ".join(done.stdout.split())


def test_a_pair_that_contradicts_an_old_key_is_a_sentence(pirig):
    done = pirig("train", "-m", "pair=schedule=rsqrt train.final_lr=1 | schedule=cosine")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "train.final_lr with schedule=rsqrt" in done.stderr
