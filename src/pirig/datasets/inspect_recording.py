"""Says what an arm recorded: a LeRobot data set of somebody else's, or npz episodes.

What the door says of it is what `pirig convert` would say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pirig.config.presets import fitting
from pirig.config.recorded import used_tasks
from pirig.datasets.inspect import Content, tree, value_range
from pirig.datasets.recorded_numbers import PADDED, filled
from pirig.datasets.recording import Recording, open_recording

READ = {"observation.state": "state", "action": "actions"}  # columns, and the key of data.* that names others
PADDING = 4  # numbers at the end that are always 0: fewer may be a gripper that is never used
EPISODES_SHOWN = 40


def look_at(path: Path) -> Content:
    lines: list[str] = []
    padded: list[str] = []
    try:
        source = open_recording(path)
        lines += _described(source)
        for column in source.meta.image_columns():
            source.meta.image_size(column)
        lines += [f"  note: {note}" for note in source.examine()]
        lines += _spans(source)
        padded = [said for name in READ if (said := _padded(source, name))]
    except ValueError as error:
        return Content([*lines, f"  damaged: {error}"], [f"damaged: {error}"])
    bad = [f"episode {number}: {fault}" for number, fault in source.faults.items()]
    lines += [f"  left out: {one}" for one in bad]
    advice = _advice(source)
    missing = [] if source.meta.image_columns() else ["no images: a policy of pirig looks; record a camera"]
    lines += [f"  {said}" for said in padded] + [f"  to train on it: {advice}"]
    return Content(lines, [*bad, *padded, *missing], f"it has none; to train on it: {advice}")


def _advice(source: Recording) -> str:
    """The words of a command that reads it, by the presets of conf/data that fit its columns."""
    pictures = source.meta.image_columns()
    widths = {name: source.features[name].width for name in source.number_columns()}
    found = sorted(fitting(pictures, widths), key=lambda preset: preset.simulated)
    said = [
        preset.words + (" (recorded in ManiSkill)" if preset.simulated and len(found) > 1 else "") for preset in found
    ]
    return ", or ".join(said) or "no preset of data=NAME has its columns; write one (docs/datasets.md, Your own arm)"


def _described(source: Recording) -> list[str]:
    lengths = [episode.length for episode in source.episodes]
    lines = [
        f"  {source.kind}: {len(lengths)} episodes of {min(lengths)} to {max(lengths)} frames, {sum(lengths)} in all at "
        f"{source.fps:g} Hz{f', robot {source.robot_type}' if source.robot_type else ''}"
    ]
    listed = source.listed()
    lines += [f"  {one}" for one in listed[:EPISODES_SHOWN]]
    if len(listed) > EPISODES_SHOWN:
        lines.append(f"  ... and {len(listed) - EPISODES_SHOWN} more episodes")
    lines += [f"  task {number}: {sentence!r}" for number, sentence in enumerate(used_tasks(source.meta))]
    columns = source.features.items()
    return lines + tree({key: (tuple(one.shape), one.dtype, "") for key, one in columns})  # type: ignore[misc]


def _padded(source: Recording, name: str) -> str:
    """What is said of a column whose last numbers are 0 in every episode; "" of others."""
    if name not in source.features:
        return ""
    width = max(filled(source.numbers(episode, [name])) for episode in source.episodes)
    behind = source.numbers(source.episodes[0], [name]).shape[1] - width
    if behind < PADDING:
        return ""
    return f"{name}: the last {behind} numbers are always 0: {PADDED}; data.{READ[name]}=['{name}[0:{width}]'] takes the others"


def _spans(source: Recording) -> list[str]:
    """The range of each column of numbers over all episodes. Raises ForeignFileError for one that is usually read."""
    lines = []
    for name in source.number_columns():
        try:
            parts = [source.numbers(episode, [name]) for episode in source.episodes]
            lines.append(f"  {name}: {value_range(np.concatenate(parts))}")
        except ValueError as error:
            if name in READ:
                raise
            lines.append(f"  {name}: {error}")
    return lines
