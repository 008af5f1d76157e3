"""All that a critic learns from, its rows by episode, and which episodes are kept for its calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

from pirig.files.identity import digest_of_arrays
from pirig.improving.transitions import Transitions


@dataclass(frozen=True)
class Experience:
    """`samples`: chunks of the policy for each row, drawn once, clipped as the executed ones are. `episode`: of each row, from 0.
    `own`: whether the policy itself acted in it, and not a demonstrator.

    Raises ValueError where lengths differ, or a return is not between 0 and 1: a critic's values are.
    """

    transitions: Transitions
    samples: Float32[np.ndarray, "rows samples h action_dim"]
    episode: Int[np.ndarray, " rows"]
    succeeded: Bool[np.ndarray, " episodes"]
    own: Bool[np.ndarray, " episodes"]

    def __post_init__(self) -> None:
        rows, chunk = len(self.transitions), self.transitions.chunk.shape[1:]
        if (len(self.samples), len(self.episode)) != (rows, rows) or self.samples.shape[2:] != chunk:
            raise ValueError(
                f"samples {self.samples.shape} and episodes {self.episode.shape} beside {rows} rows with chunks {chunk}; "
                f"expected ({rows}, samples, {chunk[0]}, {chunk[1]}) and ({rows},)"
            )
        if rows and int(self.episode.max()) >= len(self.succeeded):
            raise ValueError(
                f"a row of episode {self.episode.max()}, and {len(self.succeeded)} episodes; expected a result of each"
            )
        low, high = (float(of(self.transitions.return_to_go, initial=0)) for of in (np.min, np.max))
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"returns from {low:.3g} to {high:.3g}; expected 0 to 1: give a reward of 1 where the task is solved and of 0 "
                "elsewhere"
            )

    @property
    def digest(self) -> str:
        """Of every array, by its bytes."""
        own = {name: getattr(self, name) for name in ("samples", "episode", "succeeded", "own")}
        return digest_of_arrays({**vars(self.transitions), **own})


def held_out_episodes(
    succeeded: Bool[np.ndarray, " episodes"], own: Bool[np.ndarray, " episodes"], share: float, seed: int
) -> Int[np.ndarray, " held_out"]:
    """Numbers of the policy's own episodes: so large a share of the successes and of the failures alike, at least one of each
    kind of which there are two. Demos succeed: who tells them from failures may know who acted, and no more."""
    rng = np.random.default_rng([seed, 1])
    chosen = []
    for kind in (True, False):
        numbers = rng.permutation(np.flatnonzero((succeeded == kind) & own))
        count = max(round(share * len(numbers)), 1) if len(numbers) > 1 else 0
        chosen.append(numbers[:count])
    return np.sort(np.concatenate(chosen))
