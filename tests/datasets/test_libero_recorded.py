"""openpi's LeRobot version of LIBERO (image, wrist_image, state, actions, 10 fps) as demos of a suite."""

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.make import make_data_set, make_demos, open_data_set
from tests.datasets.kinova_recordings import write_recording
from tests.datasets.layouts import LAB_PX, libero

SUITE = compose(["task=libero_object"]).task.tasks
SENTENCES = [list(SUITE.values())[task] for task in (3, 7, 3)]


def recording(folder, sentences):
    episodes = [libero(seed, 14) for seed in range(len(sentences))]
    for episode in episodes:
        for name in ("image", "wrist_image"):
            episode[name] = episode[name][:, :LAB_PX, :LAB_PX]
    write_recording(folder, episodes=episodes, fps=10, robot="panda", task=sentences)
    return episodes


def config_of(tmp_path, *words):
    given = ["experiment=libero_recorded", "task=libero_object", f"demos.path={tmp_path / 'recorded'}"]
    return compose([*given, f"run.root={tmp_path / 'out'}", f"camera.resolution_px={LAB_PX}", *words])


def test_it_is_a_suites_data_set_at_the_simulators_rate(tmp_path, capsys):
    episodes = recording(tmp_path / "recorded", SENTENCES)
    config = config_of(tmp_path)
    places = places_of(config)
    make_demos(config, places)
    make_data_set(config, places)
    dataset = open_data_set(config, places)
    names = list(SUITE)
    assert list(dataset.tasks) == [names[3], names[7], names[3]] and not dataset.scenes_known
    contract = places.contract
    assert (contract.simulator, contract.control_hz, contract.fps) == ("libero", 20, 20)
    assert contract.scenes[7].env_id == f"libero_object/{names[7]}"
    np.testing.assert_array_equal(dataset.state[:14], episodes[0]["state"])
    np.testing.assert_array_equal(dataset.actions[14:28], episodes[1]["actions"])
    np.testing.assert_array_equal(dataset.image("left_wrist_0_rgb", 30), episodes[2]["wrist_image"][2])


def test_a_sentence_of_another_suite_is_named_with_what_to_do(tmp_path):
    recording(tmp_path / "recorded", [*SENTENCES, "put the bowl on the stove"])
    config = config_of(tmp_path)
    with pytest.raises(
        ValueError, match=r"episode 3 has the task 'put the bowl on the stove'; expected one of pick up"
    ):
        make_demos(config, places_of(config))
    without = config_of(tmp_path, "demos.leave_out=[3]")
    make_demos(without, places_of(without))
