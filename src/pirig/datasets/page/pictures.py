"""Pictures of an episode, small enough for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.recording import Recording
from pirig.foreign.lerobot import EpisodeMeta

THUMB_PX, PLAYED_PX = 112, 224  # width
QUALITY = 80
STRIPS, STRIP_FRAMES = 5, 10  # episodes with a filmstrip, and its pictures


def strip_frames(length: int) -> list[int]:
    """From the first to the last."""
    return np.linspace(0, length - 1, STRIP_FRAMES).round().astype(int).tolist()


def encoded(source: Recording, episode: EpisodeMeta, column: str, frames: Sequence[int], width_px: int) -> list[str]:
    """WebP as base64 of these frames, which ascend."""
    return [_webp(image, width_px) for image in _chosen(source, episode, column, frames)]


def _chosen(source: Recording, episode: EpisodeMeta, column: str, frames: Sequence[int]) -> Iterator[np.ndarray]:
    if isinstance(source, LeRobotSource):
        yield from source.frames(episode, column, frames)
        return
    images = source.images(episode, column)
    yield from (images[frame] for frame in frames)


def _webp(image_u8: np.ndarray, width_px: int) -> str:
    picture, target = Image.fromarray(image_u8), io.BytesIO()
    if picture.width != width_px:
        height_px = max(1, round(picture.height * width_px / picture.width))
        larger = picture.width < width_px  # each pixel stays one
        picture = picture if larger else picture.resize((width_px, height_px), Image.Resampling.BOX)
    picture.save(target, "WEBP", quality=QUALITY, method=2)
    return base64.b64encode(target.getvalue()).decode()
