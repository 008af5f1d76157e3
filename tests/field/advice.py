"""What the messages of src/pirig tell a user to type: read out of the source, each f-string with X where a value will stand."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pirig

SOURCE = Path(pirig.__file__).parent
VALUE = "X"  # in place of {anything}
COMMAND = re.compile(r"`pirig ([^`]+)`")
KEY = re.compile(r"(?<![\w.$/{-])((?:[a-z_]\w*|X)(?:\.(?:[a-z_]\w*|X))+)=(\[[^\]]*\]|'[^']*'|[^\s,;:)`\"|]*)")
GROUP = re.compile(r"(?<![\w.$/{-])([a-z_][\w/]*)=([\w./-]+)")


@dataclass(frozen=True)
class Said:
    """`text`: a whole string; `place`: file and line."""

    place: str
    text: str


def strings():
    """Every string of every module, docstrings too: what a message says may be put together there."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        for node in ast.walk(tree):
            text = None
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
                text = "".join(str(part) for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                text = node.value
            if text:
                yield Said(f"{path.relative_to(SOURCE)}:{node.lineno}", text)


def commands():
    """(place, words after pirig) of every command in backticks."""
    for said in strings():
        for words in COMMAND.findall(said.text):
            yield said.place, words.split()


def assignments():
    """(place, dotted key, value) of every assignment."""
    for said in strings():
        for key, value in KEY.findall(said.text):
            yield said.place, key, value.rstrip(".")


def options():
    """(place, group, option) of what looks like a choice of a group."""
    for said in strings():
        for group, option in GROUP.findall(said.text):
            if "." not in group:
                yield said.place, group, option.rstrip(".")
