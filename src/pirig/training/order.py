"""Which frame stands where in the endless stream that batches are cut from; a pure function of the seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

BLOCK = 1000  # places in which every source has exactly its share


class Shares:
    """Frames of several sources, each with its share of every BLOCK places; within a source each frame once an epoch.

    `sources`: frame numbers of each; `shares` add up to 1.
    """

    def __init__(self, sources: Sequence[np.ndarray], shares: Sequence[float], seed: int) -> None:
        self.sources, self.seed, self.counts = list(sources), seed, _counts(shares)
        self._block = lru_cache(maxsize=2)(self._drawn)
        self._epoch = lru_cache(maxsize=2 * len(self.sources))(self._permutation)

    def frames(self, places: np.ndarray) -> np.ndarray:
        """Frame numbers at these places of the stream."""
        blocks, offsets = np.divmod(places, BLOCK)
        return np.array([self._at(int(block), int(offset)) for block, offset in zip(blocks, offsets, strict=True)])

    def _at(self, block: int, offset: int) -> int:
        source, earlier = (int(part[offset]) for part in self._block(block))
        epoch, place = divmod(block * int(self.counts[source]) + earlier, len(self.sources[source]))
        return int(self._epoch(source, epoch)[place])

    def _drawn(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each place of a block: its source, and how many places of that source come before it in the block."""
        order = np.repeat(np.arange(len(self.counts)), self.counts)
        order = np.random.default_rng([self.seed, 1, block]).permutation(order)
        earlier = np.empty(BLOCK, int)
        for source, count in enumerate(self.counts):
            earlier[order == source] = np.arange(count)
        return order, earlier

    def _permutation(self, source: int, epoch: int) -> np.ndarray:
        frames = self.sources[source]
        return frames[np.random.default_rng([self.seed, 2, source, epoch]).permutation(len(frames))]


def _counts(shares: Sequence[float]) -> np.ndarray:
    """Whole numbers that add up to BLOCK; what rounding leaves goes to the largest remainders. At least 1 each."""
    wanted = np.asarray(shares, float) * BLOCK
    counts = np.maximum(np.floor(wanted).astype(int), 1)
    for source in np.argsort(counts - wanted)[: max(BLOCK - counts.sum(), 0)]:
        counts[source] += 1
    counts[counts.argmax()] += BLOCK - counts.sum()
    return counts
