"""Actions as differences from the state: openpi's DeltaActions and its inverse, AbsoluteActions.

The same state, that at the chunk's first frame, is taken from every step of the chunk; before normalisation, in the
arm's units. Numbers outside the mask (a gripper) stay absolute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Relative:
    """`counts` in the style of openpi's make_bool_mask: (7, -1) takes seven numbers relative to the state and one as it is.

    `horizon`: steps of a chunk, on which the spread of the differences depends.
    """

    counts: tuple[int, ...]
    horizon: int

    @property
    def mask(self) -> np.ndarray:
        return mask_of(self.counts)


def mask_of(counts: Sequence[int]) -> np.ndarray:
    """bool [n], up to the last number that is relative: (6, -1) -> six times True; () -> []."""
    mask = np.repeat(np.array(counts, int) > 0, np.abs(np.array(counts, int)))
    return mask[: int(np.flatnonzero(mask).max(initial=-1)) + 1]


def relative(
    actions: Float[np.ndarray, "*lead horizon n"],
    state: Float[np.ndarray, "*lead state_dim"],
    mask: Bool[np.ndarray, " masked"],
) -> Float[np.ndarray, "*lead horizon n"]:
    """Chunks of absolute targets minus the state at their first frame, where `mask` says so."""
    return _moved(actions, state, mask, -1)


def absolute(
    actions: Float[np.ndarray, "*lead horizon n"],
    state: Float[np.ndarray, "*lead state_dim"],
    mask: Bool[np.ndarray, " masked"],
) -> Float[np.ndarray, "*lead horizon n"]:
    """The inverse: what a policy gives for an observation whose state is `state`, as targets."""
    return _moved(actions, state, mask, 1)


def _moved(actions: np.ndarray, state: np.ndarray, mask: np.ndarray, sign: int) -> np.ndarray:
    dims = len(mask)
    if min(actions.shape[-1], state.shape[-1]) < dims:
        raise ValueError(
            f"number {dims} of an action is relative to the state, but there are {actions.shape[-1]} numbers in an action "
            f"and {state.shape[-1]} in the state"
        )
    shifted = actions.copy()
    shifted[..., :dims] += sign * np.where(mask, state[..., :dims], 0)[..., None, :]
    return shifted
