"""`key=value` words that change the config of a run that is there, read by the grammar of every other command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pirig.config.texts import ASSIGNMENT, for_hydra


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """["eval.episodes=3"] -> {"eval": {"episodes": 3}}. Raises ValueError on a word that is no assignment of one value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, plain = OverridesParser.create(), dict[str, Any]()
    for word in words:
        _require_assignment(word)
        try:
            override = parser.parse_override(for_hydra(word))
        except HydraException as error:
            raise ValueError(f"{word}: {str(error).splitlines()[-1]}; expected key=value, one value.") from error
        if override.is_sweep_override():
            raise ValueError(
                f"{word}: several values, and a run that is there takes one of each key; give the command once for each, or the "
                "whole configuration with -m instead of the folder."
            )
        *parents, last = override.key_or_group.split(".")
        node = plain
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = override.value()
    return plain


def _require_assignment(word: str) -> None:
    match = ASSIGNMENT.fullmatch(word)
    if match is None:
        why = "an option" if word.startswith("-") else "no key=value"
        raise ValueError(f"{word}: {why}, and a run that is there takes key=value only, as in eval.episodes=100.")
    if match[1]:
        raise ValueError(f"{word}: every key is there already; leave out the {match[1]}.")
