"""What scenes near demos take from a folder of demos."""

import numpy as np
import pytest

from pirig.demos.manifest import DemosManifest, episode_file
from pirig.demos.moments import moments_of

STEPS = 24


def write(folder, seed, steps, without=()):
    still = np.zeros((steps, 7), np.float32)
    still[:, 3] = 1
    hand = still.copy()
    hand[:, 0] = np.linspace(0, 0.3, steps)
    arrays = {"qpos": np.arange(9 * steps, dtype=np.float32).reshape(steps, 9), "tcp_pose": hand, "actions": still}
    for name, at in (("peg", hand), ("head", hand), ("box", still)):
        arrays |= {f"labels/{name}_position_m": at[:, :3], f"labels/{name}_quat_wxyz": at[:, 3:]}
    np.savez(episode_file(folder, seed), **{name: array for name, array in arrays.items() if name not in without})


@pytest.fixture
def folder(tmp_path):
    seeds = list(range(30))
    lengths = [STEPS] * 29 + [10 * STEPS]  # the last one wandered
    for seed, steps in zip(seeds, lengths, strict=True):
        write(tmp_path, seed, steps)
    DemosManifest(30, 31, seeds, lengths, "planned").save(tmp_path)
    return tmp_path


def test_every_fourth_step_of_every_demo_that_did_not_wander(folder):
    found = moments_of(folder, ["head"])
    assert [moments.scene for moments in found] == list(range(29))
    first = found[0]
    np.testing.assert_array_equal(first.joints[:, 0], 9 * np.arange(0, STEPS, 4))
    assert first.hand.shape == first.things["peg"].shape == (STEPS // 4, 7)
    assert set(first.things) == {"peg", "box"} and first.held["peg"].all() and not first.held["box"].any()


def test_demos_that_are_gone_or_do_not_say_where_things_were_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="need the demos, which are not there; run `pirig demos`"):
        moments_of(tmp_path / "none", [])
    write(folder, 3, STEPS, without=["tcp_pose"])
    with pytest.raises(
        ValueError, match=r"episode_3\.npz: scenes near demos .* need tcp_pose .* choose scenes\.near_demos=0"
    ):
        moments_of(folder, [])
