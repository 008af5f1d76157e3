"""A lossless PNG encoder that costs as little CPU as zlib allows.

One fixed row filter ("up") computed by numpy and zlib's run-length strategy: on rendered 256 x 256 frames 1.6 ms and
98 kB against 4.4 ms and 90 kB of Pillow at level 1 (2026-11, one core). The bytes depend on the pixels alone, and zlib
releases the GIL, so threads help.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2


def encode(image_u8: np.ndarray) -> bytes:
    """u8 [H, W, 3] -> the bytes of an RGB PNG."""
    height, width, _ = image_u8.shape
    rows = image_u8.reshape(height, width * 3)
    filtered = np.empty((height, width * 3 + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    pixels = squeezer.compress(filtered.data) + squeezer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def decode(data: bytes) -> np.ndarray:
    """The bytes of any image that Pillow reads -> u8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def decoded(picture: bytes | np.ndarray) -> np.ndarray:
    """A picture as a data set keeps it -> u8 [H, W, 3]."""
    return decode(picture) if isinstance(picture, bytes) else picture
