"""LIBERO's demonstration files through demos.path, as far as that can be known without LIBERO."""

import h5py
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.demos.libero.from_file import FileSource
from pirig.demos.libero.make import asked_of
from pirig.foreign.faults import ForeignFileError
from pirig.foreign.libero import files_of, numbers_of, read
from tests.demos.libero.demonstrations import TASKS, drawn, write


def source(path, *words):
    config = compose(["task=libero_object", f"demos.path={path}", *words])
    return FileSource(contract_of(config), path, config.demos)


def test_a_folder_of_files_is_a_suite_and_each_demonstration_has_a_scene_of_its_task(tmp_path):
    for task in (3, 7):
        write(tmp_path, TASKS[task], {number: drawn(number) for number in (0, 2, 10)})
    taken = source(tmp_path)
    assert taken.parts == [[3, 23, 103], [7, 27, 107]]
    assert taken.asked.size == 6 and [part.partition(":")[0] for part in taken.asked.parts] == [
        "3",
        "23",
        "103",
        "7",
        "27",
        "107",
    ]
    one = source(tmp_path / f"{TASKS[7]}_demo.hdf5", "task.only=7")
    assert one.parts == [[0, 2, 10]]


def test_a_demonstration_is_its_actions_its_first_state_and_where_fixtures_stood(tmp_path):
    path = write(tmp_path, TASKS[0], {4: drawn(4)})
    actions, states, _ = drawn(4)
    held = read(path, 4)
    np.testing.assert_array_equal(held.actions, np.clip(actions, -1, 1).astype(np.float32))
    np.testing.assert_array_equal(held.state, states[0])
    np.testing.assert_array_equal(held.fixtures["stove_main"], [0.1, 0.2, 0.9, 0, 0, 0, 1])
    np.testing.assert_array_equal(held.fixtures["plain"], [0, 0, 0, 1, 0, 0, 0])
    assert numbers_of(path) == [4]


def test_the_task_is_what_the_file_says_and_not_its_name(tmp_path):
    path = write(tmp_path, TASKS[5], {0: drawn(0)})
    assert list(files_of(path.rename(tmp_path / "mine.hdf5"))) == [TASKS[5]]


def test_a_changed_demonstration_is_another_source_and_a_picture_does_not_count(tmp_path):
    def digest():
        config = compose(["task=libero_object", f"demos.path={tmp_path}"])
        return asked_of(contract_of(config), config.task, config.demos, tmp_path / "demos", tmp_path).digest

    path = write(tmp_path, TASKS[0], {0: drawn(0), 1: drawn(1)})
    first = digest()
    with h5py.File(path, "r+") as file:
        file["data/demo_1/obs/agentview_rgb"][0] = 7
    assert digest() == first
    with h5py.File(path, "r+") as file:
        file["data/demo_1/actions"][0, 0] = 0.125
    assert digest() != first


def _drop(name):
    def damage(group):
        del group[name]

    return damage


def _nan(group):
    group["states"][2, 1] = np.nan


def _short(group):
    held = group["actions"][:-1]
    del group["actions"]
    group["actions"] = held


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_drop("actions"), r"episode 0: no actions; expected actions \[T, k\], numbers"),
        (_drop("states"), r"episode 0: no states"),
        (_nan, r"episode 0, frame 2: a NaN or infinite number in states"),
        (_short, r"actions are \[4, 7\], states \[5, 110\]; expected \[T, 7\] and \[T, k\] of one length"),
        (lambda group: group.attrs.pop("model_file"), r"no model_file, so nothing says where cabinets"),
    ],
)
def test_what_is_damaged_is_named_with_its_place(tmp_path, damage, said):
    path = write(tmp_path, TASKS[0], {0: drawn(0)})
    with h5py.File(path, "r+") as file:
        damage(file["data/demo_0"])
    with pytest.raises(ForeignFileError, match=said):
        read(path, 0)


def test_files_of_another_suite_other_files_and_cut_off_ones_are_refused(tmp_path):
    write(tmp_path, "turn_on_the_stove", {0: drawn(0)}, suite="libero_goal")
    with pytest.raises(
        ForeignFileError,
        match=r"of turn_on_the_stove; expected a task of this run: pick_up_the_alph.*; choose the suite",
    ):
        source(tmp_path)
    other = tmp_path / "other.hdf5"
    with h5py.File(other, "w") as file:
        file["traj_0"] = [1]
    with pytest.raises(ForeignFileError, match=r"it holds traj_0; expected LIBERO's <task>_demo\.hdf5"):
        source(other)
    other.write_bytes((tmp_path / "turn_on_the_stove_demo.hdf5").read_bytes()[:300])
    with pytest.raises(ForeignFileError, match="truncated or not an HDF5 file"):
        source(other)
