"""A run folder is entered only as the user said, and an older run survives."""

import os

import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.runs.record import open_run


def config_at(tmp_path, *more):
    return compose([f"run.root={tmp_path}", *more])


def test_existing_run_is_refused_with_the_remedies(tmp_path):
    config = config_at(tmp_path)
    open_run(config, places_of(config))
    with pytest.raises(ValueError, match=r"run\.mode=resume.*run\.mode=overwrite"):
        open_run(config, places_of(config))


def test_overwrite_moves_the_older_run_aside(tmp_path):
    config = config_at(tmp_path, "run.mode=overwrite")
    folder = open_run(config, places_of(config))
    (folder / "mine").write_text("x")
    open_run(config, places_of(config))
    aside = [name for name in os.listdir(folder.parent) if ".old-" in name]
    assert len(aside) == 1 and (folder.parent / aside[0] / "mine").read_text() == "x"
    assert not (folder / "mine").exists()


def test_resume_with_other_training_settings_names_them(tmp_path):
    config = config_at(tmp_path)
    open_run(config, places_of(config))
    changed = config_at(tmp_path, "run.mode=resume", "train.peak_lr=0.5")
    with pytest.raises(ValueError, match=r"schedule\.peak_lr: 2\.5e-05 then, 0\.5 now"):
        open_run(changed, places_of(changed))


def test_resume_accepts_other_evaluation_settings(tmp_path):
    config = config_at(tmp_path)
    open_run(config, places_of(config))
    changed = config_at(tmp_path, "run.mode=resume", "eval.episodes=7")
    assert open_run(changed, places_of(changed)) == places_of(changed).run


def test_data_of_other_control_rate_lives_elsewhere(tmp_path):
    one, two = config_at(tmp_path), config_at(tmp_path, "control.control_hz=10")
    assert places_of(one).data != places_of(two).data


def test_a_run_older_than_a_key_resumes_with_its_default(tmp_path):
    config = config_at(tmp_path)
    saved = open_run(config, places_of(config)) / "config.yaml"
    lines = saved.read_text().splitlines(keepends=True)
    saved.write_text("".join(line for line in lines if not line.startswith(("trainer:", "  clip_norm:"))))
    again = config_at(tmp_path, "run.mode=resume")
    assert open_run(again, places_of(again)) == saved.parent
    other = config_at(tmp_path, "run.mode=resume", "train.clip_norm=3")
    saved.write_text("".join(line for line in lines if not line.startswith("  clip_norm:")))
    with pytest.raises(ValueError, match=r"train\.clip_norm: 1\.0 then, 3\.0 now"):
        open_run(other, places_of(other))
