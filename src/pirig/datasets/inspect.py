"""Says what an h5, an npz, a folder of either or a LeRobot folder holds, and apart from it what it lacks to be trained on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.arguments import meant_run
from pirig.contract import FILE_NAME, Contract, ContractError
from pirig.demos.manifest import DemosManifest, episode_file
from pirig.foreign.faults import ForeignFileError
from pirig.foreign.kinds import Kind, kind_of
from pirig.foreign.npz import headers, require_numbers

EPISODES_SHOWN = 2
RANGE_LIMIT = 2_000_000  # numbers; the range of larger arrays is not computed


@dataclass(frozen=True)
class Content:
    """`lines`: a tree with shapes, types and ranges; `missing`: what it lacks to be trained on; `no_contract`: what to know of
    a recording of somebody else's, which has none."""

    lines: list[str]
    missing: list[str]
    no_contract: str = ""


def look(path: Path) -> Content:
    """Raises ValueError where there is nothing at `path` or its kind is unknown; of a damaged file both parts say so."""
    try:
        describe = _describer(path)
    except ForeignFileError as error:
        if hint := meant_run(path):
            raise ForeignFileError(str(error).rstrip(".") + hint) from error
        raise
    return describe(path)


def _damaged(reason: str) -> Content:
    return Content([f"  damaged: {reason}"], [f"damaged: {reason}"])


def _describer(path: Path) -> Callable[[Path], Content]:
    if not path.is_dir() and path.suffix == ".npz" and kind_of(path) == Kind.demos:
        return _npz
    by_kind = {Kind.trajectory: _h5, Kind.hdf5: _h5, Kind.demos: _demos, Kind.lerobot: _lerobot, Kind.npz: _recording}
    return by_kind[kind_of(path)]


def tree(entries: Mapping[str, tuple[tuple[int, ...], np.dtype, str]]) -> list[str]:
    width = max((len(name) for name in entries), default=0)
    return [
        f"  {name:<{width}}  {dtype!s:<8} {list(shape)!s:<20} {span}".rstrip()
        for name, (shape, dtype, span) in entries.items()
    ]


def value_range(values: np.ndarray) -> str:
    """``-0.1 .. 2`` and how many numbers are not finite; empty for text."""
    if values.dtype.kind not in "fiub" or not values.size:
        return ""
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    bad = values.size - finite.size
    span = f"{finite.min():.4g} .. {finite.max():.4g}" if finite.size else "nothing finite"
    return span + (f"  ({bad} NOT FINITE)" if bad else "")


# --- .npz and folders of them


def _npz(path: Path) -> Content:
    try:
        heads = headers(path)
        require_numbers(path, heads, ("actions", "qpos"))
        with np.load(path) as arrays:
            entries = {
                name: (h.shape, h.dtype, value_range(arrays[name]) if np.prod(h.shape) <= RANGE_LIMIT else "")
                for name, h in heads.items()
            }
    except ValueError as error:
        return _damaged(str(error))
    missing = []
    if "actions" not in heads:
        missing.append("no actions")
    if not any(name.startswith("image/") for name in heads):
        missing.append("no rgb: run `pirig demos ...`")
    if "qpos" not in heads:
        missing.append("no qpos: the state recipes need the joints")
    missing += [f"{name}: {span}" for name, (_, _, span) in entries.items() if "NOT FINITE" in span]
    return Content(tree(entries), missing)


def _demos(path: Path) -> Content:
    lines: list[str] = []
    missing: list[str] = []
    files = _demo_files(path, lines, missing)
    contract = _contract_lines(path, lines, missing)
    for file in files[:EPISODES_SHOWN]:
        lines += [f"  {file.name}", *("  " + line for line in _npz(file).lines)]
    if len(files) > EPISODES_SHOWN:
        lines.append(f"  ... and {len(files) - EPISODES_SHOWN} more episodes")
    missing += _bad_episodes(files, contract)
    return Content(lines, missing)


def _demo_files(path: Path, lines: list[str], missing: list[str]) -> list[Path]:
    """The episodes that the manifest names and that are there; all that are there where it is missing."""
    episodes = sorted(path.glob("episode_*.npz"))
    try:
        manifest = DemosManifest.load(path)
    except (ValueError, TypeError) as error:
        missing.append(str(error))
        return episodes
    files = [file for file in (episode_file(path, seed) for seed in manifest.seeds) if file.is_file()]
    lines.append(
        f"  demos: {manifest.kept} kept of {manifest.tried} tried, {min(manifest.lengths, default=0)} to "
        f"{max(manifest.lengths, default=0)} steps, {len(episodes)} episode files"
    )
    if len(files) < manifest.kept:
        missing.append(f"{manifest.kept - len(files)} of the manifest's episodes: run `pirig demos` again")
    return files


def _bad_episodes(files: list[Path], contract: Contract | None) -> list[str]:
    from pirig.datasets.from_demos import check_episode

    problems = []
    for file in files:
        try:
            if contract is None:
                headers(file)
            else:
                check_episode(file, contract)
        except ValueError as error:
            problems.append(str(error))
    return problems


def _contract_lines(folder: Path, lines: list[str], missing: list[str]) -> Contract | None:
    try:
        contract = Contract.load(folder)
    except ContractError as error:
        missing.append(str(error))
        return None
    lines.append(f"  {FILE_NAME} ({contract.hash}): {contract.described}")
    return contract


# --- .h5


def _h5(path: Path) -> Content:
    from pirig.foreign.trajectory import opened

    try:
        with opened(path) as file:
            episodes = sorted((key for key in file if re.fullmatch(r"traj_\d+", key)), key=lambda key: int(key[5:]))
            shown = episodes[:EPISODES_SHOWN] or list(file)
            lines = []
            for key in shown:
                lines += [f"  {key}", *("  " + line for line in tree(_h5_entries(file[key])))]
            if len(episodes) > len(shown):
                lines.append(f"  ... and {len(episodes) - len(shown)} more episodes")
            missing = _h5_missing(path, file, episodes, lines)
            return Content(lines, missing)
    except ValueError as error:
        return _damaged(str(error))


def _h5_entries(group: Any) -> dict[str, tuple[tuple[int, ...], np.dtype, str]]:
    import h5py

    entries: dict[str, tuple[tuple[int, ...], np.dtype, str]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            span = value_range(item[()]) if item.size <= RANGE_LIMIT else ""
            entries[name] = (item.shape, item.dtype, span)

    if isinstance(group, h5py.Dataset):
        visit(group.name, group)
    else:
        group.visititems(visit)
    return entries


def _h5_missing(path: Path, file: Any, episodes: list[str], lines: list[str]) -> list[str]:
    """What the door says of the file and its sidecar is what `pirig demos` would say; who recorded it goes to `lines`."""
    from pirig.foreign.trajectory import read_trajectory

    missing = []
    try:
        if who := read_trajectory(path).recorded_by:
            lines.append(f"  recorded by {who}")
    except ValueError as error:
        missing.append(str(error))
    names: list[str] = []
    if episodes and hasattr(file[episodes[0]], "visit"):
        file[episodes[0]].visit(names.append)
    if not any(name.endswith(("/rgb", "/Color")) for name in names):
        missing.append("no rgb: run `pirig demos demos.path=FILE` with the task and cameras you want, it renders them")
    missing.append("it is no data set yet: `pirig demos demos.path=FILE`, then `pirig convert`")
    return missing


# --- LeRobot


def _lerobot(path: Path) -> Content:
    return _own_data_set(path) if (path / "meta/pirig").is_dir() else _recording(path)


def _recording(path: Path) -> Content:
    from pirig.datasets.inspect_recording import look_at

    return look_at(path)


def _own_data_set(path: Path) -> Content:
    from pirig.datasets.in_place import open_folder
    from pirig.foreign.lerobot import read_info

    try:
        info = read_info(path)
        frames = {name: getattr(info, f"total_{name}") for name in ("episodes", "frames")}
    except ValueError as error:
        return _damaged(str(error))
    lines = [
        f"  LeRobot {info.codebase_version}: {frames['episodes']} episodes, "
        f"{frames['frames']} frames at {info.fps:g} Hz, robot {info.robot_type}"
    ]
    stats = _lerobot_stats(path)
    entries = {
        key: (tuple(feature.shape), feature.dtype, _stats_span(stats.get(key)))
        for key, feature in info.features.items()
    }
    lines += tree(entries)  # type: ignore[arg-type]
    missing: list[str] = []
    _contract_lines(path / "meta/pirig", lines, missing)
    if not any(feature.dtype in ("image", "video") for feature in info.features.values()):
        missing.append("no images: run `pirig demos ...` and `pirig convert`")
    if not missing:
        try:
            dataset = open_folder(path)
            for name, values in (("state", dataset.state), ("actions", dataset.actions)):
                lines.append(f"  {name} read back: {value_range(values)}")
                if not np.isfinite(values).all():
                    missing.append(f"{name} are not all finite")
        except (ValueError, KeyError, OSError) as error:
            missing.append(str(error))
    if not any((path / "meta/pirig").glob("norm_stats*.json")):
        lines.append("  no norm_stats.json yet: `pirig stats` (or `pirig train`) makes it")
    return Content(lines, missing)


def _lerobot_stats(path: Path) -> dict[str, Any]:
    try:
        stats = json.loads((path / "meta/stats.json").read_text())
    except (ValueError, OSError):
        return {}
    return stats if isinstance(stats, dict) else {}


def _stats_span(entry: Any) -> str:
    try:
        return f"{np.min(entry['min']):.4g} .. {np.max(entry['max']):.4g}"
    except (TypeError, KeyError, ValueError):
        return ""
