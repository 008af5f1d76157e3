"""A folder of demos: one npz per kept episode, a log of every try, and a manifest once it is complete."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from pirig.files.atomic import write_text

FILE_NAME = "manifest.json"
TRIED = "tried.jsonl"
IMAGE, LABEL = "image/", "labels/"  # arrays of an episode file: u8 [T, H, W, 3] by role, f32 [T, k] by label
TASK = "task"  # of an episode file: which of the contract's tasks it is of, where there are several
START = "start/"  # the simulator's state before the first step, where a reset to the seed is another one
WANDERED = 2.5  # times the median length: planners vary by less than 1.9, unless they lost their way
FEW = 0.05  # of the demos: where more are that long, long demos are what this task has


def longest_usual(lengths: Sequence[int]) -> int:
    """Steps of the longest demo, without the few in which the planner wandered (ManiSkill's does so once in 100 to 200)."""
    longest = WANDERED * sorted(lengths)[len(lengths) // 2]
    usual = [length for length in lengths if length <= longest]
    return max(usual) if len(usual) >= (1 - FEW) * len(lengths) else max(lengths)


@dataclass(frozen=True)
class DemosManifest:
    """`seeds` and `lengths` (steps) of the kept episodes, in order; `tried` counts the seeds that were looked at.

    `scenes`: first and last that might have been tried; [] in a manifest from before this was noted.
    """

    kept: int
    tried: int
    seeds: list[int]
    lengths: list[int]
    source: str
    scenes: list[int] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        write_text(folder / FILE_NAME, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    def wandering(self) -> dict[int, int]:
        """Seed -> length of the few episodes that are much longer than the others."""
        usual = longest_usual(self.lengths)
        return {seed: length for seed, length in zip(self.seeds, self.lengths, strict=True) if length > usual}

    @staticmethod
    def load(folder: Path) -> DemosManifest:
        path = folder / FILE_NAME
        if not path.is_file():
            raise ValueError(
                f"{folder}: no {FILE_NAME}, so these demos are incomplete; run `pirig demos` again to finish them"
            )
        from pirig.foreign.ours import read_manifest

        return DemosManifest(**read_manifest(path).model_dump())


def episode_file(folder: Path, seed: int) -> Path:
    return folder / f"episode_{seed}.npz"


def episode_files(folder: Path) -> list[Path]:
    """The kept episodes' files in the manifest's order."""
    return [episode_file(folder, seed) for seed in DemosManifest.load(folder).seeds]


def read_tried(folder: Path) -> dict[int, int]:
    """Seed -> length of its episode, 0 if it failed. A torn last line (a kill) and missing files do not count."""
    return {
        entry["seed"]: entry["length"]
        for entry in _log(folder)
        if not entry["length"] or episode_file(folder, entry["seed"]).is_file()
    }


def read_too_long(folder: Path) -> dict[int, int]:
    """Seed -> steps of the successes that were not kept for them."""
    return {entry["seed"]: entry["too_long"] for entry in _log(folder) if entry.get("too_long")}


def _log(folder: Path) -> Iterator[dict[str, int]]:
    path = folder / TRIED
    for line in path.read_text().splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def append_tried(folder: Path, seed: int, length: int, too_long: int = 0) -> None:
    """`too_long`: steps of a success that is not kept for them; its `length` is 0."""
    why = {"too_long": too_long} if too_long else {}
    with open(folder / TRIED, "a") as log:
        log.write(json.dumps({"seed": seed, "length": length, **why}) + "\n")


@dataclass(frozen=True)
class Pieces:
    """An array of an episode that is never in memory as a whole: `parts()` are its rows, some at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype
    parts: Callable[[], Iterator[np.ndarray]]


def write_episode(path: Path, arrays: Mapping[str, np.ndarray | Pieces]) -> None:
    """Uncompressed npz under a temporary name, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write(member, array)
    os.replace(temporary, path)


def _write(member: IO[bytes], array: np.ndarray | Pieces) -> None:
    if not isinstance(array, Pieces):
        np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
        return
    descr = np.lib.format.dtype_to_descr(array.dtype)
    np.lib.format.write_array_header_1_0(member, {"descr": descr, "fortran_order": False, "shape": array.shape})
    for part in array.parts():
        member.write(np.ascontiguousarray(part, array.dtype).data)


def read_episode(path: Path) -> dict[str, np.ndarray]:
    """Raises ValueError where the file is truncated or no npz."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot be read as an episode ({error}); delete it and run `pirig demos` again"
        ) from error
    except Exception as error:
        if type(error).__name__ != "BadZipFile":
            raise
        raise ValueError(f"{path}: truncated ({error}); delete it and run `pirig demos` again") from error
