"""Every frame of a data set, decoded and resized once, in memory-mapped arrays: training reads without decoding."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.pictures import png
from pirig.files import identity
from pirig.files.atomic import staging_folder
from pirig.files.identity import Identity
from pirig.files.progress import Progress
from pirig.files.space import require_space
from pirig.transforms.images import pixels_digest, resize

BLOCK = 64
VERSION = 1  # changes where the bytes of a cache would


def frame_cache(dataset: Dataset, image_px: int, root: Path) -> dict[str, np.ndarray]:
    """{role: read-only memory map u8 [N, image_px, image_px, 3]}, built under `root` unless it is there already.

    The folder's name follows from the data set's content, the contract, `image_px` and what a test picture becomes: another
    data set or another resize never meets an old cache. Raises ValueError where the disk is too small.
    """
    folder, asked = cache_folder(dataset, image_px, root), asked_of(dataset, image_px)
    if folder.is_dir():
        _require_same(folder, asked)
    else:
        _say_unused(folder)
        needed = dataset.frame_count * len(dataset.roles) * image_px**2 * 3
        require_space(folder, needed, "the decoded frames need")
        try:
            with staging_folder(folder) as staging:
                _build(dataset, image_px, staging)
                asked.save(staging / identity.FILE_NAME)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
    return {role: np.load(folder / f"{role}.npy", mmap_mode="r") for role in dataset.roles}


def asked_of(dataset: Dataset, image_px: int) -> Identity:
    """What decides the frames of a cache."""
    resize = {"pixels": pixels_digest(image_px, dataset.contract.resize), "resize": dataset.contract.resize}
    settings = {
        "contract": dataset.contract.hash,
        "frames": dataset.frame_count,
        "image_px": image_px,
        "cameras": dataset.roles,
        **resize,
    }
    made_from, places = {"data set": dataset.content_hash[:16]}, {"data set": str(dataset.folder)}
    return Identity("frame cache", made_from, settings, code=VERSION, places=places)


def _require_same(folder: Path, asked: Identity) -> None:
    """Says that a cache is used; one from before there were records is known by its name alone, and its shape is looked at."""
    there = identity.load(folder / identity.FILE_NAME)
    if there is None:
        held = {"frames": min((len(np.load(file, mmap_mode="r")) for file in folder.glob("*.npy")), default=0)}
        roles = tuple(role for role in asked.parts if (folder / f"{role}.npy").is_file())
        there = dataclasses.replace(
            asked, settings={**asked.settings, **held}, parts=roles, adopted="known by its name"
        )
        identity.require(asked, there, folder, identity.move_away(folder))
        there.keep(folder / identity.FILE_NAME)
    identity.require(asked, there, folder, identity.move_away(folder))
    print(f"frames: {folder} is there already, of the same data set", flush=True)


def cache_folder(dataset: Dataset, image_px: int, root: Path) -> Path:
    """Where the cache of this data set at this size is or will be."""
    pixels = pixels_digest(image_px, dataset.contract.resize)
    key = f"{VERSION} {dataset.content_hash} {dataset.contract.hash} {image_px} {pixels}"
    return Path(root) / f"frames-{image_px}px-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _say_unused(folder: Path) -> None:
    """Of another data set's frames, another resize, or a version that did not record its resize: none can be trusted."""
    size = folder.name.rpartition("-")[0]
    others = sorted(path.name for path in folder.parent.glob(f"{size}-*") if path != folder and path.is_dir())
    if others:
        print(
            f"frames: decoded anew; {', '.join(others)} in {folder.parent}: made of another data set, by another resize or by an "
            "older version, not used, may be deleted",
            flush=True,
        )


def _build(dataset: Dataset, image_px: int, folder: Path) -> None:
    shape, how = (dataset.frame_count, image_px, image_px, 3), dataset.contract.resize
    with (
        Progress("decode frames", dataset.frame_count * len(dataset.roles)) as progress,
        ThreadPoolExecutor(2, thread_name_prefix="decode") as pool,
    ):
        for role in dataset.roles:
            frames = np.lib.format.open_memmap(folder / f"{role}.npy", mode="w+", dtype=np.uint8, shape=shape)
            for rows, pictures in _blocks(dataset, role):
                frames[rows] = list(pool.map(lambda picture: resize(png.decoded(picture), image_px, how), pictures))
                progress.advance(len(pictures))
            frames.flush()
            del frames


def _blocks(dataset: Dataset, role: str) -> Iterator[tuple[slice, list[bytes | np.ndarray]]]:
    for start in itertools.count(0, BLOCK):
        if start >= dataset.frame_count:
            return
        rows = slice(start, min(start + BLOCK, dataset.frame_count))
        yield rows, [dataset.picture(role, index) for index in range(rows.start, rows.stop)]
