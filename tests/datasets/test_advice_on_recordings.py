"""`pirig inspect` names the mapping that reads somebody's data set, `pirig doctor` finds nothing wrong with a whole one."""

import pytest

from pirig.stages import doctor, inspect
from tests.datasets.kinova_recordings import make_recording, write_recording
from tests.datasets.layouts import LAYOUTS, episodes_of, settings_of
from tests.datasets.npz_episodes import write_episodes

LIKE_LIBERO = "data=libero demos.path=FOLDER, or data=lab task=TASK demos.path=FOLDER (recorded in ManiSkill)"
ADVICE = {name: f"data={name} demos.path=FOLDER" for name in LAYOUTS} | {
    "libero": LIKE_LIBERO,
    "lab": LIKE_LIBERO,
    "ours": "data=ours task=TASK demos.path=FOLDER",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_preset_that_has_its_columns_is_named_and_nothing_is_wrong(tmp_path, name, capsys):
    folder = write_recording(tmp_path / name, episodes=episodes_of(name, 2), version="v3.0", **settings_of(name))
    assert inspect.main([str(folder)]) == 0
    assert f"  to train on it: {ADVICE[name]}\n" in capsys.readouterr().out
    assert doctor.main([str(folder)]) == 0
    judged = capsys.readouterr().out
    assert "WRONG" not in judged and f"skip  contract: it has none; to train on it: {ADVICE[name]}" in judged
    assert all(f"ok    {gate}" in judged for gate in ("complete", "rows", "counts", "frames", "stored_statistics"))


def test_columns_of_another_width_are_no_presets(tmp_path, capsys):
    six = [{name: values[:, :6] if values.ndim == 2 else values for name, values in make_recording(0).items()}]
    folder = write_recording(tmp_path / "so100", episodes=six, robot="so100")
    assert inspect.main([str(folder)]) == 0 and "no preset of data=NAME has its columns" in capsys.readouterr().out
    assert doctor.main([str(folder)]) == 0


def test_npz_episodes_are_taken_as_they_are_and_no_camera_is_a_fault(tmp_path, capsys):
    assert doctor.main([str(write_episodes(tmp_path / "npz"))]) == 0
    assert "to train on it: data=kinova demos.path=FOLDER" in capsys.readouterr().out
    blind = [{name: values for name, values in make_recording(0).items() if values.ndim == 2}]
    folder = write_recording(tmp_path / "blind", episodes=blind)
    assert doctor.main([str(folder)]) == 1 and "WRONG complete: no images" in capsys.readouterr().out
