"""The words after `pirig` in any order: which is the verb, which a run's folder, which an option of Hydra's."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from pirig.config.names import near

HELP = ("-h", "--help")
WITH_VALUE = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--cfg", "-c", "--package", "-p")
INFO = ("--info", "-i")
INFOS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
ALONE = (
    *HELP,
    "--hydra-help",
    "--version",
    "--resolve",
    "--run",
    "-r",
    "--multirun",
    "-m",
    "--shell-completion",
    "-sc",
)

HYDRAS = (*ALONE, *WITH_VALUE, *INFO, "--experimental-rerun")


def verb_of(arguments: Sequence[str], verbs: Collection[str]) -> str | None:
    """The first word that is a verb; the value of an option is none."""
    return next((word for word in _free(arguments) if word in verbs), None)


def folder_of(arguments: Sequence[str]) -> str | None:
    """The first word that is a folder that is there, whatever it looks like; else the first that is no assignment, no option
    and no option's value."""
    words = _free(arguments)
    there = (word for word in words if Path(word).is_dir())
    return next(there, None) or next((word for word in words if _is_name(word)), None)


def run_of(verb: str, arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """The run's folder, and the other words. Raises ValueError where none is named."""
    folder = folder_of(arguments)
    if folder is None:
        raise ValueError(f"pirig {verb} {' '.join(arguments)}: of which run? Give its folder")
    rest = list(arguments)
    rest.remove(folder)
    return Path(folder), rest


def _is_name(word: str) -> bool:
    return "=" not in word and not word.startswith(("-", "~", "+"))


def _free(arguments: Sequence[str]) -> list[str]:
    """Without the values of options."""
    return [word for place, word in enumerate(arguments) if not (place and arguments[place - 1] in WITH_VALUE)]


def options_first(arguments: Sequence[str]) -> list[str]:
    """Hydra's options with their values, then the other words: its parser takes none between them.

    Raises ValueError on an option that it does not know, or one without its value.
    """
    options: list[str] = []
    words: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, _, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
            continue
        require_option(name)
        options.append(word)
        if name in INFO and not value:
            options.append(waiting.pop(0) if waiting and waiting[0] in INFOS else "all")
        elif name in WITH_VALUE and not value:
            if not waiting:
                raise ValueError(f"{name}: expected a value after it.")
            options.append(waiting.pop(0))
    return list(dict.fromkeys(options)) + words


def require_option(name: str, known: Collection[str] = HYDRAS) -> None:
    """Raises ValueError that names the nearest one."""
    if name not in known:
        nearest = near(name, known)
        raise ValueError(
            f"{name}: there is no such option"
            + (f"; did you mean {nearest}?" if nearest else "; `pirig --help` shows what there is.")
        )


def run_near(path: Path) -> str:
    """The run that a path lies in, or the first one in it; "" where there is none."""
    above = list(path.absolute().parents)[:4]
    below = (file.parent for pattern in ("*", "*/*") for file in sorted(path.glob(f"{pattern}/config.yaml")))
    around = (folder for folder in above if (folder / "config.yaml").is_file())
    found = next(around, None) or next(below, None)
    if found is None:
        return ""
    return os.path.relpath(found) if not path.is_absolute() else str(found)


def meant_run(path: Path) -> str:
    """As the end of a sentence."""
    near_by = run_near(path)
    return f"; did you mean {near_by}?" if near_by else ""


def nearest_folder(word: str) -> str:
    """The folder beside it with the nearest name, "" where there is none."""
    path = Path(word)
    names = [folder.name for folder in path.parent.iterdir() if folder.is_dir()] if path.parent.is_dir() else []
    nearest = near(path.name, names)
    return str(path.parent / nearest) if nearest else ""
