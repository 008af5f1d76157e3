"""CRC-32C (Castagnoli) in numpy: the only checksum that Google's bucket has for files uploaded in parts.

Many lanes are advanced side by side, then folded: appending n bytes to a message multiplies its state by a
32 x 32 bit matrix (Mark Adler's crc32_combine in zlib).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

POLYNOMIAL = 0x82F63B78  # reflected
LANES, LANE_BYTES = 16384, 256
BLOCK_BYTES = LANES * LANE_BYTES  # 4 MiB: a good size of the pieces given to `update`
ALL_ONES = 0xFFFFFFFF


class Crc32c:
    """``crc = Crc32c(); crc.update(data); crc.digest()``: 4 big-endian bytes, as in a bucket's listing."""

    def __init__(self) -> None:
        self.state = ALL_ONES

    def update(self, data: bytes) -> None:
        for start in range(0, len(data), BLOCK_BYTES):
            block = data[start : start + BLOCK_BYTES]
            self.state = _apply(_appended(len(block)), self.state) ^ _block(block)

    def digest(self) -> bytes:
        return (self.state ^ ALL_ONES).to_bytes(4, "big")


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = np.where(state & 1, (state >> 1) ^ np.uint32(POLYNOMIAL), state >> 1)
    return state


def _block(data: bytes) -> int:
    """State after `data` (at most BLOCK_BYTES) from state 0; zeros in front change nothing, so pad there."""
    table = _table()
    padded = np.zeros(BLOCK_BYTES, np.uint8)
    padded[BLOCK_BYTES - len(data) :] = np.frombuffer(data, np.uint8)
    state = np.zeros(LANES, np.uint32)
    for column in np.ascontiguousarray(padded.reshape(LANES, LANE_BYTES).T):
        state = table[(state ^ column) & 0xFF] ^ (state >> 8)
    return _fold(state)


def _fold(state: np.ndarray) -> int:
    """Lanes u32 [n], n a power of two -> the state of their concatenation."""
    length = LANE_BYTES
    while len(state) > 1:
        state = _apply_many(_appended(length), state[0::2]) ^ state[1::2]
        length *= 2
    return int(state[0])


@lru_cache(maxsize=256)
def _appended(count: int) -> tuple[int, ...]:
    """The matrix (column per bit of the state) of `count` zero bytes."""
    result, power = tuple(1 << bit for bit in range(32)), _one_byte()
    while count:
        if count & 1:
            result = tuple(_apply(power, column) for column in result)
        power = tuple(_apply(power, column) for column in power)
        count >>= 1
    return result


def _one_byte() -> tuple[int, ...]:
    table = _table()
    return tuple(int(table[(1 << bit) & 0xFF]) ^ ((1 << bit) >> 8) for bit in range(32))


def _apply(matrix: tuple[int, ...], state: int) -> int:
    result = 0
    for bit, column in enumerate(matrix):
        if state >> bit & 1:
            result ^= column
    return result


def _apply_many(matrix: tuple[int, ...], states: np.ndarray) -> np.ndarray:
    result = np.zeros_like(states)
    for bit, column in enumerate(matrix):
        result ^= np.where(states >> bit & 1, np.uint32(column), np.uint32(0))
    return result
