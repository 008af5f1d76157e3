"""A policy's own episodes in the toy simulator: both ends kept, killed and gone on with, added to, and read as a data set."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.config.measuring import RewardsConfig
from pirig.datasets.lerobot.read import Dataset
from pirig.demos.manifest import episode_file
from pirig.evaluation.drivers import PolicyDriver, noise_of
from pirig.evaluation.results import EpisodeResult
from pirig.evaluation.rollouts import Request
from pirig.evaluation.workers import WorkerPool
from pirig.files.identity import IdentityError
from pirig.gates import simulated
from pirig.improving import acting
from pirig.improving.door import Policy
from pirig.improving.rollouts import again, columns, make
from pirig.sim import door
from pirig.sim.door import Observation
from tests.datasets.real_lerobot import import_lerobot
from tests.improving.toy_policy import Goes, a_checkpoint, a_config
from tests.wishes.toy_simulator import ToySimulator

FIRST = 700_000


@pytest.fixture(scope="module", autouse=True)
def toy():
    before = dict(door.IMPLEMENTATIONS)
    door.register("toy", "tests.wishes.toy_simulator:Toy")
    yield
    door.IMPLEMENTATIONS.clear()
    door.IMPLEMENTATIONS.update(before)


@pytest.fixture
def goes(monkeypatch):
    policy = Goes()
    monkeypatch.setattr(acting, "load_policy", lambda checkpoint, **sizes: policy)
    return policy


def a_policy(root, *words):
    config = a_config(root, *words)
    checkpoint = root / "checkpoint" / "7"
    return Policy(config, checkpoint if checkpoint.is_dir() else a_checkpoint(config, checkpoint), "digest")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acting, "load_policy", lambda checkpoint, **sizes: Goes())
        return root, make.make(a_policy(root), 5)


@pytest.fixture
def copied(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_successes_and_failures_are_a_data_set_with_lerobots_own_columns(whole):
    _, made = whole
    dataset = Dataset(made.data_set)
    assert dataset.seeds == list(range(FIRST, FIRST + 5)) and made.episodes == 5 and 0 < made.succeeded < 5
    reward, done, succeeded = (dataset.column(key) for key in (columns.REWARD, columns.DONE, columns.SUCCEEDED))
    assert (done.dtype, succeeded.dtype, reward.dtype) == (bool, bool, np.float32)
    ends = np.cumsum(dataset.lengths) - 1
    assert np.flatnonzero(done).tolist() == ends.tolist()
    assert np.flatnonzero(succeeded).tolist() == ends[dataset.succeeded].tolist()
    np.testing.assert_allclose(reward, np.where(succeeded, 9.95, -0.05), rtol=1e-6)
    failed = sorted(set(range(5)) - set(dataset.succeeded))
    assert [dataset.lengths[one] for one in failed] == [30] * (5 - made.succeeded)
    assert dataset.labels["goal_position_m"].shape == (dataset.frame_count, 3)
    assert made.frames == dataset.frame_count == sum(dataset.lengths)
    told = dataset.provenance
    assert told["made_from"]["policy"] == "digest" and told["environment_steps"] == made.environment_steps > made.frames
    features = json.loads((made.data_set / "meta/info.json").read_text())["features"]
    assert features["next.done"] == {"dtype": "bool", "shape": [1], "names": None}


def test_a_frame_tells_the_chunk_that_was_executed(whole):
    dataset = Dataset(whole[1].data_set)
    step, noise = dataset.column(columns.STEP), dataset.column(columns.NOISE)
    rows = dataset.episode_rows(2)
    assert step[rows][:5].tolist() == [0, 1, 0, 1, 0]
    for number, row in enumerate(range(rows.start, rows.stop)):
        expected = noise_of(0, dataset.seeds[2], number // 2, (4, 8))
        np.testing.assert_array_equal(noise[row].reshape(4, 8), expected)


@pytest.mark.lerobot
def test_the_real_lerobot_reads_every_column_as_it_was_written(whole):
    made = whole[1]
    theirs = import_lerobot().LeRobotDataset("test/rollouts", root=made.data_set)
    index = 0
    for episode, scene in enumerate(range(FIRST, FIRST + 5)):
        with np.load(episode_file(made.folder / make.EPISODES, scene)) as arrays:
            success, actions = arrays[again.SUCCESS], arrays["actions"]
        for step, won in enumerate(success.tolist()):
            item = theirs[index]
            assert (int(item["episode_index"]), int(item["frame_index"])) == (episode, step)
            assert float(item[columns.REWARD]) == np.float32(9.95 if won else -0.05)
            assert (bool(item[columns.DONE]), bool(item[columns.SUCCEEDED])) == (step == len(success) - 1, won)
            assert int(item[columns.STEP]) == step % 2
            np.testing.assert_array_equal(item[columns.NOISE], noise_of(0, scene, step // 2, (4, 8)).reshape(-1))
            np.testing.assert_array_equal(item["action"], actions[step])
            index += 1
    assert index == theirs.num_frames == made.frames and theirs.num_episodes == 5


def test_gates_in_the_simulator_ask_only_episodes_that_succeeded(whole):
    dataset = Dataset(whole[1].data_set)
    with WorkerPool(dataset.contract, 1) as pool:
        assert simulated.first_frame(dataset, pool) == [] and simulated.replay(dataset, None, pool, 5) == []
        dataset.provenance["failed"] = []
        assert simulated.replay(dataset, None, pool, 5) != []


def test_what_is_there_is_found_and_what_a_kill_left_is_gone_on_with(copied, goes, monkeypatch):
    folder = make.folder_of(policy := a_policy(copied))
    before = (folder / "lerobot/meta/pirig/provenance.json").read_text()
    assert make.make(policy, 5).again and goes.calls == 0
    (folder / make.EPISODES / f"episode_{FIRST + 1}.npz").unlink()  # killed while frames were seen
    lines = (folder / make.RESULTS / "episodes.jsonl").read_text().splitlines(keepends=True)
    (folder / make.RESULTS / "episodes.jsonl").write_text("".join(lines[:-1]) + lines[-1][:9])  # and in a line
    shutil.rmtree(folder / "lerobot")
    made = make.make(policy, 5)
    assert not made.again and made.episodes == 5 and goes.calls
    assert (folder / "lerobot/meta/pirig/provenance.json").read_text() == before
    done = (folder / make.RESULTS / "episodes.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["seed"] for line in done) == list(range(FIRST, FIRST + 5))


def test_more_scenes_add_to_what_is_there(copied, goes):
    folder = make.folder_of(a_policy(copied))
    kept = (folder / make.EPISODES / f"episode_{FIRST}.npz").stat().st_mtime_ns
    made = make.make(a_policy(copied), 7)
    assert made.episodes == 7 and Dataset(made.data_set).seeds == list(range(FIRST, FIRST + 7))
    assert (folder / make.EPISODES / f"episode_{FIRST}.npz").stat().st_mtime_ns == kept
    again_fewer = make.make(a_policy(copied), 2)
    assert again_fewer.again and again_fewer.episodes == 7


def test_other_rewards_are_another_data_set_and_another_way_to_act_other_roll_outs(copied, goes):
    with pytest.raises(IdentityError, match=r"rewards\.success: 10\.0 then, 1\.0 now"):
        make.make(a_policy(copied, "rollouts=zero_one"), 5)
    assert make.folder_of(a_policy(copied, "eval.execute=1")) != make.folder_of(a_policy(copied))


def test_the_chunk_of_a_step_follows_the_driver():
    """Chunks that say their own number and step, with and without a delay."""

    class Says:
        horizon, noise_shape, batch_size, blends = 6, (6, 1), 4, True
        asked = 0

        def infer(self, observations, noise, prompts=None, *, underway=None):
            self.asked += 1
            return (100 * (self.asked - 1) + np.arange(6, dtype=np.float32))[None, :, None]

    for delay in (0, 2):
        driver = PolicyDriver(Says(), execute=3, noise_seed=0, delay=delay)
        acted = np.concatenate([driver.act([Request(1, chunk, Observation({}, {}))])[0] for chunk in range(4)])
        chunk, step = columns.executed(len(acted), 3, delay)
        np.testing.assert_array_equal(100 * chunk + step, acted[:, 0])


def test_rewards_of_an_episode():
    told = columns.of_outcome(np.array([False, False, True]), RewardsConfig(success=1.0, step=0.0))
    assert told[columns.REWARD].tolist() == [0, 0, 1] and told[columns.DONE].tolist() == [False, False, True]


def test_a_simulator_that_does_not_repeat_itself_is_named(whole):
    contract = Dataset(whole[1].data_set).contract
    still = EpisodeResult(FIRST, True, True, 3, 13, 0.1)
    acted = again.acted(contract, still, np.zeros((13, 2), np.float32))
    assert len(acted.actions) == 3
    with pytest.raises(RuntimeError, match=r"was a success at step 3, and stepped again .* there is none"):
        again.recorded(ToySimulator(contract), False, acted)


def test_differences_are_clipped_as_the_simulator_clips_them(whole):
    contract = dataclasses.replace(Dataset(whole[1].data_set).contract, control_mode="pd_joint_delta_pos")
    failed = EpisodeResult(FIRST, False, False, -1, 4, 0.1)
    assert np.abs(again.acted(contract, failed, np.full((9, 2), 3.0)).actions).max() == 1.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mix=push_pull"], "mix=push_pull: a data set of roll-outs is made for one task"),
        (["eval.best_of=4", "eval.critic=x"], "eval.best_of=4 eval.head=none: a roll-out keeps"),
        (["eval.ensemble=0.5"], "eval.ensemble=0.5: a step is then of several chunks"),
        (["eval.delay=measured"], "eval.delay=measured: the run's own checkpoint is rolled out"),
    ],
)
def test_what_cannot_be_rolled_out_is_said_before_anything_starts(words, message, tmp_path):
    config = compose(words) if "mix=push_pull" in words else a_config(tmp_path, *words)
    with pytest.raises(ValueError, match=message):
        make.require(Policy(config, tmp_path, "digest"))


def test_scenes_of_another_use_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"rollouts\.first_seed=100000: .* which are for roll-outs; choose"):
        a_config(tmp_path, "rollouts.first_seed=100000")
