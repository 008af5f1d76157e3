"""Data sets by name, where lerobot itself looks for them: [user/]name below HF_LEROBOT_HOME."""

from __future__ import annotations

import os
import re
from pathlib import Path

VARIABLE = "HF_LEROBOT_HOME"
USUAL = "~/.cache/huggingface/lerobot"
NAME = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"
INFO = "meta/info.json"


def home() -> Path:
    return Path(os.environ.get(VARIABLE) or USUAL).expanduser()


def existing(word: str) -> Path:
    """A folder, or the data set of that name. Raises ValueError where neither is there."""
    folder, named = Path(word).expanduser(), home() / word
    if (folder / INFO).is_file():
        return folder
    if re.fullmatch(NAME, word) and (named / INFO).is_file():
        return named
    what = "it holds no meta/info.json" if folder.is_dir() else "there is nothing"
    raise ValueError(
        f"{word}: {what}; expected the folder of a LeRobot data set, or the name of one in {home()} ({VARIABLE})."
    )


def wanted(word: str) -> Path:
    """Where a new data set goes: a [user/]name below HF_LEROBOT_HOME where that variable is set, else a folder.

    Raises ValueError where both could be meant: the name begins like a folder that is here.
    """
    if not os.environ.get(VARIABLE) or not re.fullmatch(NAME, word):
        return Path(word).expanduser()
    if Path(word).exists() or ("/" in word and Path(word).parent.is_dir()):
        raise ValueError(f"{word}: a name in {VARIABLE}={home()}, or a folder here? Write ./{word} or {home() / word}.")
    return home() / word
