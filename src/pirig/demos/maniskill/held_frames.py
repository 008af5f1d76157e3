"""A camera's pictures as trajectory files of all ages hold them, as u8 [T, H, W, 3].

ManiSkill 3 writes sensor_data/CAMERA/rgb (u8, 3 colours), its betas sensor_data/CAMERA/Color, ManiSkill 2 image/CAMERA/rgb or
image/CAMERA/Color: four channels, u8 or float from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pirig.demos.manifest import Pieces
from pirig.foreign.trajectory import opened

PLACES = tuple(f"obs/{group}/{{}}/{name}" for group in ("sensor_data", "image") for name in ("rgb", "Color"))
SLICE_BYTES = 16e6
SLACK = 1e-3  # of a float picture, whose values are 0 to 1
CHANNELS = (3, 4)  # the fourth says how opaque a pixel is, or which actor it shows


def held(trajectory: Any, sensor: str) -> Any:
    """The h5 array of a camera's pictures in an open group; None where there is none."""
    found = (trajectory.get(place.format(sensor)) for place in PLACES)
    return next((array for array in found if array is not None and hasattr(array, "dtype")), None)


def why_not(array: Any, rows: int, height_px: int, width_px: int) -> str:
    """How an array is not so many pictures of that size; "" where it is, as far as shape and type say."""
    kinds = [(rows, height_px, width_px, channels) for channels in CHANNELS]
    if array.shape in kinds and (array.dtype == np.uint8 or array.dtype.kind == "f"):
        return ""
    return f"are {array.dtype} {list(array.shape)}, this run's uint8 or float {list(kinds[0])} (or of 4 channels)"


def taken(array: Any, rows: int) -> np.ndarray:
    """The first `rows` pictures, u8 [rows, H, W, 3]. Raises ValueError where a float picture is not of 0 to 1."""
    pictures = np.empty((rows, *array.shape[1:3], 3), np.uint8)
    for part in slices(array, rows):
        pictures[part] = as_u8(array[part], first=part.start)
    return pictures


def pieces(array: Any, rows: int, failed: Callable[[ValueError], Exception]) -> Pieces:
    """As `taken`, read when they are written, a few at a time; `failed`: what is raised for a picture that is none."""
    path, name = Path(array.file.filename), array.name

    def parts() -> Iterator[np.ndarray]:
        with opened(path) as file:
            for part in slices(file[name], rows):
                try:
                    yield as_u8(file[name][part], first=part.start)
                except ValueError as error:
                    raise failed(error) from error

    return Pieces((rows, *array.shape[1:3], 3), np.dtype(np.uint8), parts)


def slices(array: Any, rows: int) -> Iterator[slice]:
    """`rows` in parts of about SLICE_BYTES: an episode can be larger than memory."""
    step = max(1, int(SLICE_BYTES * max(len(array), 1) // max(array.nbytes, 1)))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def as_u8(pictures: np.ndarray, first: int = 0) -> np.ndarray:
    """[T, H, W, 3 or 4] u8, or float of 0 to 1 -> u8 [T, H, W, 3]; a message counts frames from `first`."""
    colours = pictures[..., :3]
    if colours.dtype == np.uint8:
        return colours
    within = (colours >= -SLACK) & (colours <= 1 + SLACK)
    if not within.all():
        frame, *place = (int(number) for number in np.argwhere(~within)[0])
        value = colours[(frame, *place)]
        raise ValueError(f"frame {first + frame} holds {value:.4g}, a float picture is of 0 to 1")
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
