"""A data set that holds several tasks: LeRobot's task table, a `task_index` per frame, a prompt per episode."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pirig.config.places import META
from pirig.contract import TaskScene
from pirig.datasets.joined import prompts_of
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.write import LeRobotWriter
from pirig.transforms.state import build_state
from tests.datasets.episodes import make_contract, make_episode, write_dataset

PUSH, PULL = "push the cube to the goal", "pull the cube to the goal"
TASKS = {3: "push_cube", 4: "pull_cube", 8: "push_cube"}  # by seed


@pytest.fixture(scope="module")
def contract():
    scenes = (TaskScene("PushCube-v1", PUSH, "push_cube"), TaskScene("PullCube-v1", PULL, "pull_cube"))
    return dataclasses.replace(make_contract(), scenes=scenes)


def write(folder, contract, tasks):
    with LeRobotWriter(folder, contract) as writer:
        for seed, task in tasks.items():
            episode = make_episode(seed, contract)
            images = {camera.role: episode[f"image/{camera.role}"] for camera in contract.cameras}
            state = build_state(contract.state, episode)
            writer.add_episode(images, state, episode["actions"], seed=seed, task=task)
        writer.finish({"kept": len(tasks), "tried": len(tasks), "source": "test"})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, contract):
    return write(tmp_path_factory.mktemp("several") / "lerobot", contract, TASKS)


def test_every_frame_names_its_task(folder):
    dataset = Dataset(folder)
    assert dataset.tasks == ["push_cube", "pull_cube", "push_cube"]
    column = pq.read_table(folder / "data", columns=["task_index"])["task_index"].to_numpy()
    np.testing.assert_array_equal(column, np.repeat([0, 1, 0], dataset.lengths))
    table = pq.read_table(folder / "meta/tasks.parquet").to_pydict()
    assert table["task_index"] == [0, 1] and [PUSH, PULL] in table.values()
    assert json.loads((folder / "meta/info.json").read_text())["total_tasks"] == 2
    rows = pq.read_table(folder / "meta/episodes").to_pylist()
    assert [row["tasks"] for row in rows] == [[PUSH], [PULL], [PUSH]]


def test_every_frame_is_told_its_own_sentence(folder):
    dataset = Dataset(folder)
    assert prompts_of(dataset).tolist() == [
        {"push_cube": PUSH, "pull_cube": PULL}[task]
        for task, length in zip(dataset.tasks, dataset.lengths, strict=True)
        for _ in range(length)
    ]


def test_two_tasks_of_one_sentence_share_its_index(tmp_path, contract):
    same = dataclasses.replace(
        contract, scenes=tuple(dataclasses.replace(scene, prompt=PUSH) for scene in contract.scenes)
    )
    dataset = Dataset(write(tmp_path / "lerobot", same, TASKS))
    assert dataset.tasks == list(TASKS.values()) and dataset.info["total_tasks"] == 1


def test_a_task_that_the_contract_does_not_know_is_refused(tmp_path, contract):
    with pytest.raises(ValueError, match=r"seed 3: task 'lift', the contract knows push_cube, pull_cube"):
        write(tmp_path / "lerobot", contract, {3: "lift"})


def test_a_task_index_that_disagrees_is_refused(tmp_path, contract):
    folder = write(tmp_path / "lerobot", contract, TASKS)
    record = folder / META / "provenance.json"
    changed = json.loads(record.read_text())
    changed["tasks"][1] = "push_cube"
    record.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"episode 1 has task_index 1 in row \d+, its task push_cube has 0"):
        Dataset(folder)


def test_the_data_set_of_one_task_has_none(tmp_path):
    dataset = Dataset(write_dataset(tmp_path / "lerobot", make_contract(), [3, 4]))
    assert dataset.tasks == [] and prompts_of(dataset) is None
