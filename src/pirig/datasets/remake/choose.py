"""Which episodes of a LeRobot data set: by number, length, sentence, share or success."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

import numpy as np

from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.remake.plan import Chosen, sentences_of
from pirig.foreign.lerobot import EpisodeMeta

SUCCESS = ("next.success", "success", "is_success", "episode_success")  # columns that say it, the first that is there


def numbers(text: str) -> list[int]:
    """``"0-9,12"`` -> [0, ..., 9, 12]. Raises ValueError for another form."""
    chosen: dict[int, None] = {}
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError(f"episodes {text!r}: {part!r} is no number and no range; expected such as 0-9,12.")
        chosen |= dict.fromkeys(range(int(match[1]), int(match[2] or match[1]) + 1))
    return list(chosen)


def filtered(
    source: LeRobotSource,
    *,
    episodes: Sequence[int] | None = None,
    leave_out: Sequence[int] = (),
    least: int = 0,
    most: int | None = None,
    prompt: str = "",
) -> list[EpisodeMeta]:
    """In the order of the source. `least`, `most`: frames; `prompt`: a sentence, or a pattern with * and ?, of any case.

    Raises ValueError where an episode is named that is not there, or nothing is left.
    """
    there = {episode.index for episode in source.episodes}
    for number in (*(episodes or ()), *leave_out):
        if number not in there:
            raise ValueError(f"{source.folder}: no episode {number}; it has {min(there)} to {max(there)}.")
    named = there if episodes is None else set(episodes)
    kept = [
        episode
        for episode in source.episodes
        if episode.index in named - set(leave_out)
        and least <= episode.length <= (episode.length if most is None else most)
    ]
    if prompt:
        kept = [episode for episode in kept if _told(Chosen(source, episode), prompt)]
    if not kept:
        lengths = [episode.length for episode in source.episodes]
        raise ValueError(
            f"{source.folder}: no episode is left of its {len(there)} ({min(lengths)} to {max(lengths)} frames; "
            f"{'; '.join(map(repr, source.meta.sentences[:5])) or 'no sentences'}); choose otherwise."
        )
    return kept


def _told(one: Chosen, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(sentence.lower(), pattern.lower().strip()) for sentence in sentences_of(one))


def by_share(source: LeRobotSource, share: float, seed: int) -> tuple[list[EpisodeMeta], list[EpisodeMeta]]:
    """Whole episodes drawn at random: so large a share of them, and the others; each in the order of the source.

    Raises ValueError where either part would be empty.
    """
    count = len(source.episodes)
    first = round(share * count)
    if not 0 < first < count:
        raise ValueError(
            f"--share {share:g} of {count} episodes leaves one part empty; expected a share between 0 and 1 that is a whole "
            "episode of each."
        )
    drawn = set(np.random.default_rng(seed).permutation(count)[:first].tolist())
    parts = list[EpisodeMeta](), list[EpisodeMeta]()
    for place, episode in enumerate(source.episodes):
        parts[place not in drawn].append(episode)
    return parts


def by_success(source: LeRobotSource) -> tuple[list[EpisodeMeta], list[EpisodeMeta]]:
    """Those that succeed in any frame, and the others, by the column that says it.

    Raises ValueError where there is no such column, or all are alike.
    """
    column = next((name for name in SUCCESS if name in source.features), None)
    if column is None:
        raise ValueError(
            f"{source.folder}: no column says which episodes succeed (one of {', '.join(SUCCESS)}); it has {source.described()}. "
            "Demos of `pirig demos` all succeed: failed tries are left out of them."
        )
    parts = list[EpisodeMeta](), list[EpisodeMeta]()
    for episode in source.episodes:
        parts[not source.numbers(episode, [column]).any()].append(episode)
    if not all(parts):
        raise ValueError(f"{source.folder}: by {column}, {len(parts[0])} episodes succeed and {len(parts[1])} do not.")
    return parts
