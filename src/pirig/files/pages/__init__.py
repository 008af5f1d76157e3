"""One HTML file with everything in it: data, style, scripts. It asks no other machine for anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path


@dataclass(frozen=True)
class Page:
    """`package`: where page.html, the styles and the scripts lie. `command` wrote it, and may replace what it wrote."""

    package: str
    command: str
    styles: Sequence[str]
    scripts: Sequence[str]

    @property
    def generator(self) -> str:
        return f'<meta name="generator" content="{self.command}">'

    def require_ours(self, path: Path, example: str) -> None:
        """Raises ValueError where `path` is a file that this command did not write; `example` is a page's name."""
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the page's name, such as {path / example}.")
        if path.is_file() and self.generator not in path.read_text(errors="replace")[:2000]:
            raise ValueError(f"{path} is there and no page of {self.command}; choose another name.")

    def filled(self, parts: Mapping[str, str]) -> str:
        """The page with `parts` in their places. What a user's data says is no place for others: they are filled in last."""
        own = {
            "GENERATOR": self.generator,
            "STYLE": "\n".join(_asset(self.package, name) for name in self.styles),
            "SCRIPT": f'(() => {{\n"use strict";\n{_asset(__name__, "elements.js")}\n{self._scripts()}\n}})();',
        }
        text = _asset(self.package, "page.html")
        for name, part in {**own, **parts}.items():
            text = text.replace(f"<!--{name}-->", part)
        return text

    def _scripts(self) -> str:
        return "\n".join(_asset(self.package, name) for name in self.scripts)


def in_script(json: str) -> str:
    """JSON that no text in it can end the script with."""
    return json.replace("<", "\\u003c")


def _asset(package: str, name: str) -> str:
    return (resources.files(package) / name).read_text()
