"""`pirig compare RUN ... | DIR`: runs side by side, with what can and cannot be told from their numbers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.stages.options import Options

if TYPE_CHECKING:
    from pirig.comparison.compare import Comparison
    from pirig.comparison.published import Beside

ABOUT = """\
Runs side by side: the settings that differ, the metrics, success counts with Wilson 95 % intervals, and for each pair
whether the difference can be told from noise (Fisher's exact test). Takes run folders, or folders with runs in them;
each evaluation of a run is a row. Reads only; a run may still be running.

  pirig compare outputs/sweep                          a table on the terminal
  pirig compare outputs/a/one outputs/a/two            of two runs
  pirig compare outputs/sweep --html sweep.html        one page for a browser, works offline, can be sent to others
  pirig compare outputs/sweep --markdown > report.md   the hand-over report
  pirig compare outputs/sweep --json | jq ...          everything, for scripts; --csv: a line per row"""


def main(arguments: list[str]) -> int:
    """0, or 2 on a wrong call. Raises ValueError with the reason where a path holds no run."""
    parser = _parser()
    try:
        options = parser.read(arguments)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return int(stop.code or 0)
    from pirig.comparison.collect import collect
    from pirig.comparison.compare import Comparison

    if options.html:
        from pirig.comparison.page.build import require_ours

        require_ours(options.html)
    comparison = Comparison(collect(options.paths))
    others = _others(comparison, options.published)
    printed = _text(comparison, others, options)
    if printed is not None:
        sys.stdout.write(printed if printed.endswith("\n") else printed + "\n")
    elif not options.html:
        _show(comparison, others, options.paths)
    if options.html:
        _write_page(comparison, options.html)
    return 0


def _parser() -> Options:
    parser = Options("pirig compare", description=ABOUT)
    parser.add_argument("paths", nargs="+", type=Path, metavar="RUN | DIR", help="run folders, or folders of runs")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page that opens offline, with videos in it")
    published = "other people's rates beside those that pirig knows (docs/comparing.md)"
    parser.add_argument("--published", type=Path, metavar="FILE.yaml", help=published)
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--markdown", action="store_true", help="print the hand-over report")
    text.add_argument("--json", action="store_true", help="print rows, settings, counts and pairs")
    text.add_argument("--csv", action="store_true", help="print a line per row")
    return parser


def _others(comparison: Comparison, path: Path | None) -> list[Beside]:
    from pirig.comparison.published import beside, read, shipped

    return beside(comparison, shipped() + (read(path) if path else []))


def _text(comparison: Comparison, others: list[Beside], options: argparse.Namespace) -> str | None:
    from pirig.comparison.export import to_csv, to_json
    from pirig.comparison.report import to_markdown

    if options.json:
        return to_json(comparison, others)
    if options.csv:
        return to_csv(comparison)
    return to_markdown(comparison, others) if options.markdown else None


def _show(comparison: Comparison, others: list[Beside], paths: list[Path]) -> None:
    from pirig.comparison.terminal import show
    from pirig.files.console import console

    screen = console()
    show(comparison, screen, others)
    folders = " ".join(str(path) for path in paths) if len(paths) < 4 else "..."
    page = f"with curves and videos: pirig compare {folders} --html compare.html"
    screen.print(page, style="dim", soft_wrap=True, markup=False)


def _write_page(comparison: Comparison, path: Path) -> None:
    from pirig.comparison.page.build import write_page

    summary = write_page(comparison, path)
    print(f"{path}: {summary}", file=sys.stderr)
