"""The options of verbs that read their own: numbers with the schema's domains, and the nearest right word to a mistyped one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from pirig.config.domains import Between
from pirig.config.names import near


class Options(argparse.ArgumentParser):
    """Says what is wrong in one sentence and exits with 2. Options are typed whole."""

    def __init__(self, prog: str, **settings: Any):
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, **{"formatter_class": raw, "allow_abbrev": False, **settings})

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """As `parse_args`; an option that is none is named before whatever is missing."""
        known = list(_options_of(self))
        for word in arguments:
            name = word.partition("=")[0]
            if name == "--":
                break
            if name.startswith("--") and name not in known:
                nearest = near(name, known)
                self.error(f"{name}: there is no such option" + (f"; did you mean {nearest}?" if nearest else ""))
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Of argparse's own words too."""
        said = re.sub(r"^argument ([^:]+): ", r"\1: ", message)
        if match := re.search(r"^(.*?): invalid choice: '?(.*?)'? \(choose from (.*)\)$", said):
            names = [name.strip(" '") for name in match[3].split(",")]
            option = match[1] if match[1].startswith("-") else ""
            nearest = near(match[2], names)
            said = f"{option}={match[2]}" if option else match[2]
            said += f": expected one of {', '.join(names)}" + (f"; did you mean {nearest}?" if nearest else "")
        said = re.sub(r"^the following arguments are required: ", "what is missing: ", said)
        print(
            f"pirig: {said.rstrip('.?')}{'?' if said.endswith('?') else '.'} `{self.prog} --help` says more.",
            file=sys.stderr,
        )
        self.exit(2)


def _options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Those of its subcommands too."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _options_of(below)


def number(domain: Between) -> Callable[[str], Any]:
    """What an option's text means. An option whose number is outside its domain is answered with what is expected."""

    def read(text: str) -> int | float:
        try:
            value = int(text) if domain.whole else float(text)
            holds = domain.holds(value)
        except (ValueError, OverflowError):
            holds = False
        if not holds:
            raise argparse.ArgumentTypeError(f"expected {domain.expected()}, found {text!r}")
        return value

    return read


def words(text: str) -> str:
    """A sentence that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a sentence, found {text!r}")
    return text


LONGEST_S = 86_400  # a day
COUNT = number(Between(least=1, most=1_000_000, whole=True))
COUNT_OR_NONE = number(Between(least=0, most=1_000_000, whole=True))
CLIENTS = number(Between(least=1, most=1024, whole=True))
PATIENCE_S = number(Between(least=0, most=LONGEST_S))
DURATION_S = number(Between(above=0, most=LONGEST_S))
FRAMES_HZ = number(Between(least=0.1, most=200))
DRIVER_HZ = number(Between(least=1, most=1000, whole=True))
SPEED = number(Between(above=0, most=1))
