"""Of a suite as many demos of each task: kept and tried by task, and fewer where a task is too hard."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import META
from pirig.contract import Contract
from pirig.datasets import from_demos
from pirig.datasets.lerobot.read import Dataset
from pirig.demos.collect import TooLong, collect
from pirig.demos.libero import make
from pirig.demos.manifest import IMAGE, LABEL, START, TASK, episode_file, read_episode, read_too_long, write_episode
from pirig.training.auxiliary.labels import SCALE_M, of_labels


@dataclasses.dataclass
class ByTask:
    """Task 0 always succeeds, task 1 every other time, task 2 never."""

    contract: Contract
    name: str = "by task"

    def open(self) -> None: ...

    def episode(self, seed):
        task, number = seed % 3, seed // 3
        if task == 2 or (task == 1 and number % 2):
            return TooLong(300) if seed == 11 else None
        images = {f"{IMAGE}{camera.role}": np.zeros((4, 8, 8, 3), np.uint8) for camera in self.contract.cameras}
        numbers = {"eef_pos": np.zeros((4, 3)), "eef_axis_angle": np.zeros((4, 3)), "fingers": np.zeros((4, 2))}
        labels = {
            f"{LABEL}{thing}_position_m": np.full((4, 3), task, np.float32) for thing in ("basket", f"thing_{task}")
        }
        told = {**labels, "seed": np.int64(seed), TASK: np.array(self.contract.scenes[task].task)}
        return {**images, **numbers, **told, "actions": np.full((4, 7), 0.1 * task, np.float32)}


@pytest.fixture
def contract():
    whole = contract_of(compose(["task=libero_object", "camera.resolution_px=8"]))
    return dataclasses.replace(whole, scenes=whole.scenes[:3])


def test_as_many_of_each_task_are_kept_and_their_sentences_are_in_the_data_set(contract, tmp_path, capsys):
    demos = dataclasses.replace(compose(["task=libero_object"]).demos, count=6, max_tries=12)
    parts = make.parts_of(contract, demos)
    assert parts == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    seeds = [seed for part in parts for seed in part]
    folder = tmp_path / "demos"
    manifest = collect(contract, ByTask(contract), seeds, 6, 1, folder, least=1, parts=parts)
    assert (manifest.seeds, manifest.kept, manifest.tried) == ([0, 3, 1, 7], 4, 2 + 3 + 4)
    screen = capsys.readouterr().err
    assert re.search(r"demos, task 2 of 3: 2/2.*kept 2 of [34] tried", screen) and "task 3 of 3: 0/2" in screen
    text = "\n".join(make.lines(contract, folder, parts))
    assert text.count("not kept for their length: 1, of 300 steps") == 1 and read_too_long(folder) == {11: 300}
    said = re.findall(r"demos: +(\d) of +(\d)  pick up the (\w+)", text)
    assert [(kept, name) for kept, _, name in said] == [("2", "alphabet"), ("2", "cream"), ("0", "salad")]
    assert [int(tried) for _, tried, _ in said] in (
        [2, 3, 4],
        [2, 4, 4],
        [3, 3, 4],
        [3, 4, 4],
    )  # one may be tried ahead
    from_demos.convert(folder, tmp_path / "lerobot", contract)
    dataset = Dataset(tmp_path / "lerobot")
    assert list(dataset.seeds) == [0, 3, 1, 7] and dataset.state.shape == (16, 8) and not dataset.labels


def test_what_a_task_does_not_have_is_not_known_in_its_episodes(contract, tmp_path):
    """Each task has its own things: the data set's labels are all of them, NaN where an episode's task has none such."""
    folder = tmp_path / "demos"
    collect(contract, ByTask(contract), [0, 3, 1, 7], 2, 1, folder, least=1, parts=[[0, 3], [1, 7]])
    from_demos.convert(folder, tmp_path / "lerobot", contract, labels=True)
    labels = Dataset(tmp_path / "lerobot").labels
    assert set(labels) == {"basket_position_m", "thing_0_position_m", "thing_1_position_m"}
    assert np.isfinite(labels["basket_position_m"]).all()
    known = {name: np.isfinite(labels[f"{name}_position_m"]).all(axis=1) for name in ("thing_0", "thing_1")}
    np.testing.assert_array_equal(known["thing_0"], [True] * 4 + [False] * 4)
    np.testing.assert_array_equal(known["thing_0"], ~known["thing_1"])
    head = of_labels(labels, []).init(jax.random.key(0), jax.ShapeDtypeStruct((1, 1, 2, 3), np.float32), labels)
    np.testing.assert_allclose(head["thing_1_position_m"]["bias"], 1 / SCALE_M)  # of what is known


def test_starts_of_a_suite_may_be_of_other_lengths_and_some_episodes_have_none(contract, tmp_path):
    whole = {"mujoco": np.arange(5.0), "fixtures": np.ones(7)}
    starts: dict[int, dict[str, np.ndarray]] = {0: {"mujoco": np.arange(3.0)}, 3: {}, 1: whole}
    folder = tmp_path / "demos"
    collect(contract, ByTask(contract), list(starts), 3, 1, folder, least=1, parts=[[0, 3], [1]])
    for seed, start in starts.items():
        episode = read_episode(episode_file(folder, seed))
        write_episode(episode_file(folder, seed), episode | {f"{START}{name}": part for name, part in start.items()})
    from_demos.convert(folder, tmp_path / "lerobot", contract)
    read = Dataset(tmp_path / "lerobot").starts
    assert read[1] is None
    for place, seed in ((0, 0), (2, 1)):
        assert set(read[place]) == set(starts[seed])
        for name, part in starts[seed].items():
            np.testing.assert_array_equal(read[place][name], part)
    file = tmp_path / "lerobot" / META / "starts.npz"
    with np.load(file) as arrays:
        torn = {name: arrays[name] for name in arrays.files}
    torn["mujoco"][0, 1] = np.nan
    np.savez(file, **torn)
    with pytest.raises(ValueError, match="mujoco of episode 0 has a number that is not finite; expected a whole state"):
        Dataset(tmp_path / "lerobot")


def test_where_no_task_gives_one_it_is_said(contract, tmp_path):
    with pytest.raises(ValueError, match=r"only 0 of 2 seeds gave a successful demo"):
        collect(contract, ByTask(contract), [2, 5], 2, 1, tmp_path / "demos", least=1, parts=[[2, 5]])


def test_tasks_that_are_more_than_a_pick_and_a_place_are_left_out_and_named(tmp_path):
    config = compose(["task=libero_goal", "demos.count=12"])
    goal = contract_of(config)
    parts = make.parts_of(goal, config.demos)
    assert [part[0] for part in parts] == [1, 2, 4, 6, 8, 9] and len(parts[0]) == 4
    said = "\n".join(make.left_out(goal))
    assert "demos: none tried  turn on the stove: it turns no knobs" in said and said.count("none tried") == 4
    with pytest.raises(
        ValueError, match=r"open the middle drawer of the cabinet: it opens no drawers: choose another task"
    ):
        make.parts_of(contract_of(compose(["task=libero_goal", "task.only=0"])), config.demos)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demos.path=demo.hdf5"], r"demos\.path: demo\.hdf5: it is not there; expected LIBERO's <task>_demo\.hdf5"),
    ],
)
def test_what_the_expert_cannot_do_is_said_before_anything_is_written(words, said, tmp_path):
    config = compose(["task=libero_object", *words])
    with pytest.raises(ValueError, match=said):
        make.make(contract_of(config), config.task, config.demos, tmp_path / "demos", tmp_path)
    assert not (tmp_path / "demos").exists()
