"""Actions relative to the state, against openpi's DeltaActions and AbsoluteActions."""

from pathlib import Path

import numpy as np
import pytest

from pirig.transforms.relative import absolute, mask_of, relative

GOLDEN = np.load(Path(__file__).parent / "golden" / "delta.npz")
STATE, ACTIONS = GOLDEN["delta/state"], GOLDEN["delta/actions"]


def test_counts_are_openpis_mask_up_to_its_last_true():
    for name, counts in (("delta/mask_6_-1", (6, -1)), ("delta/mask_6_-1_6_-1", (6, -1, 6, -1))):
        expected = GOLDEN[name]
        mask = mask_of(counts)
        np.testing.assert_array_equal(np.pad(mask, (0, len(expected) - len(mask))), expected)
    assert mask_of([]).shape == (0,) and mask_of([-3]).shape == (0,)


@pytest.mark.parametrize("mask", [mask_of((6, -1)), GOLDEN["delta/mask_6_-1"]], ids=["ours", "openpi's"])
def test_both_ways_equal_openpi_bit_for_bit(mask):
    kept = ACTIONS.copy()
    np.testing.assert_array_equal(relative(ACTIONS, STATE, mask), GOLDEN["delta/delta"])
    np.testing.assert_array_equal(absolute(GOLDEN["delta/delta"], STATE, mask), GOLDEN["delta/absolute_back"])
    np.testing.assert_array_equal(ACTIONS, kept)  # openpi writes into its argument
    assert relative(ACTIONS, STATE, mask).dtype == np.float32


def test_each_chunk_of_a_batch_has_its_own_state():
    states, chunks = np.stack([STATE, 2 * STATE]), np.stack([ACTIONS, ACTIONS])
    found = relative(chunks, states, mask_of((2, -3, 1)))
    np.testing.assert_array_equal(found[1, :, [2, 3, 4, 6]], ACTIONS[:, [2, 3, 4, 6]].T)
    np.testing.assert_array_equal(found[1, 3, [0, 1, 5]], (ACTIONS[3] - 2 * STATE[:7])[[0, 1, 5]])


def test_a_state_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match=r"number 6 .* 5 in the state"):
        relative(ACTIONS, STATE[:5], mask_of((6, -1)))
