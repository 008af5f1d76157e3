"""What a ManiSkill trajectory file (.h5) and the .json beside it say, validated once; ManiSkill itself is not needed.

Forms of ManiSkill 2 and 3: success beside the episode or below its info, a seed as a number, as a list of one or in
reset_kwargs, no robot_uids where it is the environment's default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from pirig.foreign.faults import ForeignFileError, refused, shown
from pirig.foreign.kinds import Kind, known_kind, require_no_pickle
from pirig.foreign.schema import Flag, Foreign, Whole, validated
from pirig.foreign.text import read_json

AGAIN = "copy or download it again"
CORRECT = "correct it there, or record the file again"
LARGEST_SEED = 2**32 - 1
RECORDERS = {  # by source_type, without _ and -
    "motionplanning": "a motion planner",
    "rl": "a policy of reinforcement learning",
    "human": "a person (teleoperation)",
    "teleoperation": "a person (teleoperation)",
    "teleop": "a person (teleoperation)",
}
FLAGS = ("success", "terminated", "truncated")
Seed = Annotated[Whole, Field(ge=0, le=LARGEST_SEED)]


class EnvInfo(Foreign):
    env_id: Annotated[str, Field(min_length=1)]
    env_kwargs: dict[str, Any] | None = None
    max_episode_steps: Any = None


class Sidecar(Foreign):
    EXPECTED: ClassVar[Mapping[str, str]] = {
        "env_info": "an entry with env_id and env_kwargs",
        "env_id": "the environment's name, such as PushCube-v1",
        "env_kwargs": "the settings that the environment was made with",
        "episodes": "a list with an entry for each episode",
    }
    env_info: EnvInfo
    episodes: list[dict[str, Any]]
    source_type: Any = None
    source_desc: Any = None


class EpisodeEntry(Foreign):
    EXPECTED: ClassVar[Mapping[str, str]] = {
        "episode_id": "a whole number from 0, the N of traj_N",
        "episode_seed": f"the seed of its reset, a whole number from 0 to {LARGEST_SEED}",
        "control_mode": "the name of a control mode, such as pd_joint_pos",
        "elapsed_steps": "a whole number from 0",
        "success": "true or false",
        "reset_kwargs": "the arguments of its reset",
    }
    episode_id: Annotated[Whole, Field(ge=0)]
    episode_seed: Seed | Annotated[list[Seed], Field(min_length=1, max_length=1)] | None = None
    control_mode: Annotated[str, Field(min_length=1)] | None = None
    elapsed_steps: Annotated[Whole, Field(ge=0)] | None = None
    success: Flag | None = None
    reset_kwargs: dict[str, Any] | None = None
    info: dict[str, Any] | None = None


@dataclass(frozen=True)
class Episode:
    """`control_mode` and `success` are None where the file does not say; `options`: of its reset, but for reconfiguring."""

    number: int
    seed: int
    control_mode: str | None
    success: bool | None
    steps: int

    @property
    def group(self) -> str:
        return f"traj_{self.number}"


@dataclass(frozen=True)
class TrajectoryFile:
    """`robots`: the articulations that the file's own env_states name; () where it holds none."""

    path: Path
    env_id: str
    env_kwargs: Mapping[str, Any]
    episodes: tuple[Episode, ...]
    robots: tuple[str, ...]
    action_widths: Mapping[int, int]  # by the episode's number
    recorded_by: str = ""  # as a sentence ends; "" where the file does not say

    @property
    def sidecar(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def successful(self) -> list[Episode]:
        """Those that did not fail, as far as the file says."""
        return [episode for episode in self.episodes if episode.success is not False]


def read_trajectory(path: Path) -> TrajectoryFile:
    """Raises ForeignFileError where either file is missing, damaged, or contradicts the other."""
    path = Path(path)
    sidecar = path.with_suffix(".json") if path.name else path
    require_no_pickle(path)
    if (kind := known_kind(path)) in (Kind.lerobot, Kind.npz, Kind.demos):
        raise refused(
            f"demos.path: {path}", f"it is {kind}", "give an .h5, or the arm that recorded it: task=kinova",
            expected="a ManiSkill trajectory, which a simulated robot replays",
        )  # fmt: skip
    for file in (path, sidecar):
        if not file.is_file():
            raise refused(
                f"demos.path: {file}",
                "it is not there" if not file.exists() else "it is not there as a file",
                "copy both files",
                expected="a ManiSkill trajectory: an .h5 and a .json beside it",
            )
    said = validated(Sidecar, read_json(sidecar), sidecar, CORRECT)
    entries = [_entry(entry, sidecar, number) for number, entry in enumerate(said.episodes)]
    _require_once(sidecar, entries)
    with opened(path) as file:
        groups = _groups(path, file)
        _require_both(path, sidecar, groups, entries)
        episodes, widths, robots = [], {}, dict[str, None]()
        for entry in entries:
            group = file[f"traj_{entry.episode_id}"]
            actions = _actions(path, group, entry)
            _require_lengths(path, group, entry, len(actions))
            widths[entry.episode_id] = actions.shape[1]
            robots |= dict.fromkeys(_articulations(group))
            episodes.append(_episode(entry, said.env_info, group, len(actions), sidecar))
    kwargs = said.env_info.env_kwargs or {}
    return TrajectoryFile(
        path, said.env_info.env_id, kwargs, tuple(episodes), tuple(robots), widths, _recorded_by(said)
    )


def _recorded_by(said: Sidecar) -> str:
    """Of ManiSkill's source_type and source_desc."""
    if not isinstance(said.source_type, str) or not said.source_type.strip():
        return ""
    kind = said.source_type.strip()
    who = RECORDERS.get(kind.lower().replace("_", "").replace("-", ""), kind)
    more = f", {shown(said.source_desc)}" if isinstance(said.source_desc, str) and said.source_desc.strip() else ""
    return f"{who} (source_type {kind}{more})"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The open h5 file. What HDF5 raises while it is read becomes a ForeignFileError."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except ForeignFileError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        reason = str(error).strip("'\"").splitlines()[0][:120]
        raise refused(path, f"truncated or not an HDF5 file ({reason})", AGAIN, expected="a whole .h5 file") from error


def _entry(value: Any, file: Path, number: int) -> EpisodeEntry:
    index = value.get("episode_id")
    place = {"episode": index} if isinstance(index, int) and not isinstance(index, bool) else {}
    return validated(EpisodeEntry, value, file, CORRECT, "" if place else f"entry {number} of episodes: ", **place)


def _require_once(file: Path, entries: list[EpisodeEntry]) -> None:
    if not entries:
        raise refused(
            file, "episodes is empty", "record or download another file", expected="an entry for each episode"
        )
    seen: set[int] = set()
    for entry in entries:
        if entry.episode_id in seen:
            raise refused(file, "it is there twice", CORRECT, expected="an entry each", episode=entry.episode_id)
        seen.add(entry.episode_id)


def _groups(path: Path, file: Any) -> set[int]:
    names = [str(name) for name in file]
    numbers = {int(match[1]) for name in names if (match := re.fullmatch(r"traj_(\d+)", name))}
    if not numbers:
        there = ", ".join(names[:4]) or "nothing"
        raise refused(path, f"it holds {there}", "give a trajectory file of ManiSkill", expected="groups traj_<n>")
    return numbers


def _require_both(path: Path, sidecar: Path, groups: set[int], entries: list[EpisodeEntry]) -> None:
    numbers = {entry.episode_id for entry in entries}
    for holder, other, lacking in ((path, sidecar, numbers - groups), (sidecar, path, groups - numbers)):
        if lacking:
            number = min(lacking)
            raise refused(
                holder, f"no {'traj_' if holder == path else 'entry of traj_'}{number}, {other.name} has it "
                f"({len(groups)} episodes in the .h5, {len(numbers)} in the .json)", AGAIN, expected="the same episodes in both",
                episode=number,
            )  # fmt: skip


def _actions(path: Path, group: Any, entry: EpisodeEntry) -> np.ndarray:
    """[T, A], finite."""
    import h5py

    def fault(there: str, frame: int | None = None) -> ForeignFileError:
        expected = "actions [steps, numbers], all finite"
        return refused(path, there, AGAIN, expected=expected, episode=entry.episode_id, frame=frame)

    held = group.get("actions") if isinstance(group, h5py.Group) else None
    if isinstance(held, h5py.Group):
        raise fault(f"actions is a group of {', '.join(held)}, a file of several robots")
    if held is None:
        raise fault(f"no actions (it has {', '.join(group) if isinstance(group, h5py.Group) else 'numbers only'})")
    if held.ndim != 2 or 0 in held.shape or held.dtype.kind not in "fiu":
        raise fault(f"actions is {held.dtype} {list(held.shape)}")
    actions = np.asarray(held, np.float64)
    wrong = np.argwhere(~np.isfinite(actions))
    if len(wrong):
        raise fault(f"a NaN or infinite action at step {wrong[0, 0]} (number {wrong[0, 1]})", int(wrong[0, 0]))
    return actions


def _require_lengths(path: Path, group: Any, entry: EpisodeEntry, steps: int) -> None:
    """A state before each action and one behind the last; a flag for each action."""
    import h5py

    def visit(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset) and held.ndim and (len(held) != wanted):
            wrong.setdefault(name, len(held))

    for name, wanted in (("env_states", steps + 1), *((flag, steps) for flag in FLAGS)):
        wrong: dict[str, int] = {}
        held = group.get(name)
        if isinstance(held, h5py.Group):
            held.visititems(visit)
        elif held is not None:
            visit("", held)
        if wrong:
            part, count = next(iter(wrong.items()))
            raise refused(
                path, f"{'/'.join(filter(None, (name, part)))} has {count} rows for {steps} actions", AGAIN,
                expected=f"{wanted} rows", episode=entry.episode_id,
            )  # fmt: skip


def _articulations(group: Any) -> list[str]:
    """Of ManiSkill 3; ManiSkill 2 keeps its states as one array."""
    held = group.get("env_states/articulations")
    return [str(name) for name in held] if held is not None and hasattr(held, "keys") else []


def _episode(entry: EpisodeEntry, env: EnvInfo, group: Any, steps: int, sidecar: Path) -> Episode:
    def fault(there: str, expected: str) -> ForeignFileError:
        return refused(sidecar, there, CORRECT, expected=expected, episode=entry.episode_id)

    if entry.elapsed_steps is not None and entry.elapsed_steps != steps:
        raise fault(f"elapsed_steps is {entry.elapsed_steps}, the .h5 holds {steps} actions", "the same number in both")
    mode = entry.control_mode or (env.env_kwargs or {}).get("control_mode")
    if mode is not None and not isinstance(mode, str):
        raise fault(f"env_kwargs.control_mode is {shown(mode)}", EpisodeEntry.EXPECTED["control_mode"])
    return Episode(entry.episode_id, _seed(entry, sidecar), mode, _success(entry, group), steps)


def _seed(entry: EpisodeEntry, sidecar: Path) -> int:
    told = entry.episode_seed[0] if isinstance(entry.episode_seed, list) else entry.episode_seed
    again = (entry.reset_kwargs or {}).get("seed")
    again = again[0] if isinstance(again, list) and len(again) == 1 else again
    if again is not None:
        same = {"episode_id": entry.episode_id, "episode_seed": again}
        again = validated(EpisodeEntry, same, sidecar, CORRECT, "reset_kwargs: ", episode=entry.episode_id).episode_seed
    if told is None and again is None:
        raise refused(
            sidecar, "no episode_seed, and no seed in reset_kwargs", "record the file again with a seed",
            expected=EpisodeEntry.EXPECTED["episode_seed"], episode=entry.episode_id,
        )  # fmt: skip
    if told is not None and again is not None and told != again:
        raise refused(
            sidecar, f"episode_seed is {told}, reset_kwargs.seed is {again}", CORRECT, expected="the same seed in both",
            episode=entry.episode_id,
        )  # fmt: skip
    seed = again if told is None else told
    assert isinstance(seed, int)
    return seed


def _success(entry: EpisodeEntry, group: Any) -> bool | None:
    """Of the entry, else of ManiSkill 2's info, else the last step's in the .h5."""
    if entry.success is not None:
        return entry.success
    told = (entry.info or {}).get("success")
    if isinstance(told, bool):
        return told
    held = group.get("success")
    if held is not None and hasattr(held, "shape") and held.size:
        return bool(np.asarray(held[-1]).all())
    return None
