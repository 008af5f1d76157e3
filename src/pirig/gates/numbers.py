"""Gates on the numbers of a data set: state, actions, statistics, seeds. No simulator, no model; a second or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from pirig.config.state_entries import STATE_ENTRIES
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.norm_stats import chunk_columns, compute
from pirig.demos.starts import LEAST_STEPS
from pirig.transforms.normalize import NormStats, normalize
from pirig.transforms.relative import Relative

JOINTS = 7
JUMP_RAD = 0.5  # between two frames; a Panda joint at full speed moves 0.13 rad in 1/20 s
SATURATED_SHARE = 0.9
WILD = 20.0  # a normalised number beyond this tells nothing to a model
FINGER_LAG_STEPS = 5
FINGER_OPEN_M, FINGER_CLOSED_M = 0.02, 0.036


def finite(dataset: Dataset) -> list[str]:
    """Every number of state and actions is finite."""
    sentences = []
    for name, values in (("state", dataset.state), ("actions", dataset.actions)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            sentences.append(
                f"{name} holds {len(bad)} NaN or infinite numbers, the first in frame {row}, number {column}"
            )
    return sentences


def seeds(dataset: Dataset) -> list[str]:
    """No two episodes start from one seed."""
    repeated = {seed: count for seed, count in Counter(dataset.seeds).items() if count > 1}
    if not repeated:
        return []
    seed, count = max(repeated.items(), key=lambda item: item[1])
    return [
        f"{sum(repeated.values())} of {len(dataset.seeds)} episodes share their seed with another (seed {seed}: {count} "
        "times), so the data set holds fewer scenes than it says"
    ]


def episodes(dataset: Dataset) -> list[str]:
    """No episode is too short to be one, and inside an episode no joint jumps: two episodes were not joined."""
    short = [number for number, length in enumerate(dataset.lengths) if length < LEAST_STEPS]
    sentences = (
        [f"{len(short)} episodes have fewer than {LEAST_STEPS} steps (first: episode {short[0]})"] if short else []
    )
    joints = _joints(dataset)
    if joints is None:
        return sentences
    for number, start, rows in _rows(dataset):
        moved = np.abs(np.diff(joints[rows], axis=0))
        if moved.size and moved.max() > JUMP_RAD:
            step, joint = np.unravel_index(moved.argmax(), moved.shape)
            size = moved[step, joint]
            reason = (
                "an angle that wraps: unwrap it before converting"
                if abs(size - 2 * np.pi) < JUMP_RAD
                else "two episodes joined into one: replay with `pirig demos`"
            )
            sentences.append(
                f"episode {number} (frame {start + step}): joint {joint} moves {size:.2f} rad in a step, {reason}"
            )
            break
    return sentences


def actions(dataset: Dataset) -> list[str]:
    """Normalised control modes stay in [-1, 1] and are not at their limit nearly all the time."""
    sentences = []
    if "delta" in dataset.contract.control_mode:
        beyond = np.abs(dataset.actions).max(axis=0)
        if beyond.max() > 1.0 + 1e-5:
            sentences.append(
                f"action number {beyond.argmax()} reaches {beyond.max():.3f}; {dataset.contract.control_mode} takes -1 to "
                "1 (absolute joint targets taken for deltas?)"
            )
        share = (np.abs(dataset.actions[:, :-1]) > 0.999).mean(axis=0)
        if share.max() > SATURATED_SHARE:
            sentences.append(f"action number {share.argmax()} is at its limit in {share.max():.0%} of the frames")
    moving = dataset.actions[:, :-1].std(axis=0)
    if not (moving > 1e-6).any():
        sentences.append("no arm action ever changes")
    return sentences


def gripper(dataset: Dataset) -> list[str]:
    """Commanding open opens: finger positions some steps after the command, by its sign."""
    fingers = _fingers(dataset)
    if fingers is None or dataset.contract.action_dim < 7:
        return []
    opened, closed = [], []
    for _, _, rows in _rows(dataset):
        command = dataset.actions[rows, -1] * np.sign(dataset.contract.gripper_open)
        later = fingers[rows][FINGER_LAG_STEPS:]
        steady = _steady(command)[: len(later)]
        opened.append(later[(command[: len(later)] > 0.5) & steady])
        closed.append(later[(command[: len(later)] < -0.5) & steady])
    wide, narrow = (np.concatenate(parts) for parts in (opened, closed))
    if len(wide) and len(narrow) and wide.mean() < narrow.mean():
        return [
            f"fingers are {wide.mean() * 1e3:.1f} mm apart when the action says open and {narrow.mean() * 1e3:.1f} mm when it "
            "says closed: the gripper's sign is turned round"
        ]
    if len(wide) and not len(narrow) and wide.mean() < FINGER_OPEN_M:
        return [
            f"the gripper is commanded open throughout and its finger is at {wide.mean() * 1e3:.1f} mm: wrong sign?"
        ]
    if len(narrow) and not len(wide) and narrow.mean() > FINGER_CLOSED_M:
        return [
            f"the gripper is commanded shut throughout and its finger is at {narrow.mean() * 1e3:.1f} mm: wrong sign?"
        ]
    return []


def state_has_gripper(dataset: Dataset) -> list[str]:
    """A task that opens and closes the gripper needs its fingers in the state."""
    arrays = {STATE_ENTRIES[entry].array for entry in dataset.contract.state}
    if {"qpos", "gripper_position", "fingers", "hand_position", "numbers"} & arrays:
        return []
    if np.ptp(dataset.actions[:, -1]) < 1.0:
        return []
    return [
        f"the gripper opens and closes, but the state ({', '.join(dataset.contract.state)}) does not hold its fingers; "
        "choose state=joints"
    ]


def statistics(
    dataset: Dataset,
    stats: dict[str, NormStats],
    normalization: str,
    held_out: Sequence[int] = (),
    relation: Relative | None = None,
) -> list[str]:
    """The statistics are this data set's own (without the episodes held out, relative to the state as the actions are
    learned), of its unpadded width, and make numbers that a model can read."""
    sentences = []
    own = compute(dataset, held_out, relation)
    for name, values in (("state", dataset.state), ("actions", dataset.actions)):
        entry = stats.get(name)
        if entry is None:
            sentences.append(f"the norm stats hold no {name}")
            continue
        if len(entry.mean) != values.shape[-1]:
            sentences.append(
                f"the norm stats of {name} have {len(entry.mean)} numbers, the data set has {values.shape[-1]}: computed "
                "after padding, or of another data set"
            )
            continue
        low, high = values.min(axis=0), values.max(axis=0)
        if name == "actions" and relation is not None:
            columns = chunk_columns(dataset, np.arange(dataset.frame_count), relation)
            low, high = np.array([(column.min(), column.max()) for column in columns]).T
        sentences += _fits(name, np.stack([low, high]), entry, own[name], normalization)
    return sentences


def _fits(name: str, ends: np.ndarray, entry: NormStats, own: NormStats, normalization: str) -> list[str]:
    """`ends` [2, n]: the least and the largest value of each number."""
    parts = [(kind, getattr(entry, kind), getattr(own, kind)) for kind in ("mean", "std", "q01", "q99")]
    for kind, theirs, ours in parts:
        if theirs is None:
            if normalization == "quantile" and kind in ("q01", "q99"):
                return [f"the norm stats of {name} have no {kind}, and quantile normalisation needs it"]
            continue
        if not np.isfinite(theirs).all():
            return [
                f"the norm stats of {name} hold a {kind} that is not finite (number {np.argmin(np.isfinite(theirs))})"
            ]
        span = np.maximum(np.ptp(ends, axis=0), 1e-3)
        off = np.abs(np.asarray(theirs) - np.asarray(ours)) / span
        if off.max() > 0.01:
            worst = int(off.argmax())
            return [
                f"the norm stats of {name} are not this data set's: {kind} of number {worst} is {np.asarray(theirs)[worst]:.4f} "
                f"there and {np.asarray(ours)[worst]:.4f} in the data; run `pirig stats` on this data set"
            ]
    extreme = np.abs(normalize(ends, entry, normalization)).max(axis=0)
    if extreme.max() > WILD:
        return [
            f"{name} number {extreme.argmax()} reaches {extreme.max():.0f} after {normalization} normalisation: it hardly "
            "varies but for a few frames; leave it out of the state or look at those frames"
        ]
    return []


def _joints(dataset: Dataset) -> np.ndarray | None:
    start = _start_of(dataset, ("qpos8", "qpos9"))
    return None if start is None else dataset.state[:, start : start + JOINTS]


def _fingers(dataset: Dataset) -> np.ndarray | None:
    for name, finger in (("qpos8", JOINTS), ("qpos9", JOINTS), ("finger1", 0)):
        if (start := _start_of(dataset, (name,))) is not None:
            return dataset.state[:, start + finger]
    return None


def _start_of(dataset: Dataset, names: tuple[str, ...]) -> int | None:
    start = 0
    for entry in dataset.contract.state:
        if entry in names:
            return start
        start += STATE_ENTRIES[entry].count
    return None


def _rows(dataset: Dataset) -> Iterator[tuple[int, int, slice]]:
    for number in range(len(dataset.lengths)):
        yield number, dataset.offsets[number], dataset.episode_rows(number)


def _steady(command: np.ndarray) -> np.ndarray:
    """Where the command keeps its sign for the FINGER_LAG_STEPS that follow."""
    sign = np.sign(command)
    return np.array([(sign[t : t + FINGER_LAG_STEPS + 1] == sign[t]).all() for t in range(len(command))])
