"""What a path is that somebody gives as demos, by what lies there and never by its name alone."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from pirig.foreign import npz
from pirig.foreign.faults import ForeignFileError, refused

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
EPISODES = "*_libero_*.npz"  # an arm's episodes,
EPISODES_FOLDER = "libero_format"  # in folders of this name
ARM_KEYS = {"agent_images", "wrist_images", "states", "collection_frequency"}
EXPECTED = "an .h5, an .npz, or a folder of a LeRobot data set, of npz episodes or of demos"
INFO, MANIFEST, DEMOS = "meta/info.json", "manifest.json", "episode_*.npz"


class Kind(StrEnum):
    trajectory = "a ManiSkill trajectory file"
    hdf5 = "an HDF5 file without trajectories of ManiSkill"
    lerobot = "a LeRobot data set"
    npz = "npz episodes of an arm"
    demos = "demos of pirig"


def kind_of(path: Path) -> Kind:
    """Raises ForeignFileError where nothing is there, or something else. A damaged file is of the kind that it was to be."""
    path = Path(path)
    require_no_pickle(path)
    kind = _of_folder(path) if path.is_dir() else _of_file(path) if path.is_file() else None
    if kind is not None:
        return kind
    if not path.exists():
        raise refused(path, "there is nothing", "give a path that is there", expected=EXPECTED)
    there = f"no {INFO} and no {EPISODES} there" if path.is_dir() else "it is none of these"
    raise refused(
        path,
        f"no run, checkpoint, data set or demos: {there}",
        "give another path (demos.path=FOLDER)",
        expected=EXPECTED,
    )


def require_no_pickle(path: Path) -> None:
    """Raises ForeignFileError for a Python pickle, whatever its name: old tools kept trajectories so."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        start = file.read(2)
    by_content = start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if by_content or path.suffix.lower() in (".pkl", ".pickle"):
        raise refused(
            path, "it is a Python pickle, and reading one runs whatever code it names, so pirig does not",
            "write it as .h5 with the version of ManiSkill that made it, or download the task's demos again (they are .h5 with a "
            ".json beside it)", expected=EXPECTED,
        )  # fmt: skip


def known_kind(path: Path) -> Kind | None:
    """None where `kind_of` would refuse."""
    try:
        return kind_of(path)
    except ForeignFileError:
        return None


def _of_file(path: Path) -> Kind | None:
    with open(path, "rb") as file:
        start = file.read(len(HDF5_MAGIC))
    if start == HDF5_MAGIC:
        return _of_hdf5(path)
    if start.startswith(b"PK") and path.suffix not in (".h5", ".hdf5"):
        return Kind.npz if ARM_KEYS & set(npz.names(path)) else Kind.demos
    by_name = {".h5": Kind.trajectory, ".hdf5": Kind.trajectory, ".npz": Kind.npz}
    return by_name.get(path.suffix)  # cut off at its very beginning


def _of_hdf5(path: Path) -> Kind:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return Kind.trajectory if any(str(name).startswith("traj_") for name in file) else Kind.hdf5
    except (OSError, RuntimeError):
        return Kind.trajectory


def _of_folder(path: Path) -> Kind | None:
    if (path / INFO).is_file():
        return Kind.lerobot
    if (path / MANIFEST).is_file() or (any(path.glob(DEMOS)) and not episode_files(path)):
        return Kind.demos
    return Kind.npz if episode_files(path) else None


def episode_files(path: Path) -> list[Path]:
    """An arm's episodes below a folder, or the one file, in the order of what follows `_libero_` in their names: the time.

    Of a folder without such names, the .npz in it that hold what an arm's episodes hold.
    """
    if path.is_file():
        return [path]
    found = [*path.glob(EPISODES), *(file for file in path.rglob(EPISODES) if file.parent.name == EPISODES_FOLDER)]
    found = found or [file for file in path.glob("*.npz") if ARM_KEYS & set(npz.names(file))]
    return sorted({file for file in found if not file.name.startswith(".")}, key=_order)


def _order(file: Path) -> tuple[list[tuple[int, str]], str]:
    """Numbers by their size: 2 before 10."""
    parts = re.findall(r"\d+|\D+", file.stem.rpartition("_libero_")[2])
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], str(file)
