"""What the README and the pages in docs/ tell a reader to type composes, and what they point at is there."""

import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from pirig.cli import CONFIG_FREE, RUN_VERBS, VERBS
from pirig.config.command_line import MULTIRUN, rewrite
from pirig.config.load import register_schema, typed
from tests.datasets.kinova_recordings import write_recording

ROOT = Path(__file__).parents[2]
FINDINGS = "LOG.md"  # dated: what was typed then
PAGES = [*sorted(ROOT.glob("README*.md")), *(p for p in sorted((ROOT / "docs").glob("*.md")) if p.name != FINDINGS)]
PLACEHOLDER = re.compile(r"[A-Z_.|]+|\.\.\.|\[[A-Z| ]+\]|\]|\|")


def commands_of(text: str) -> list[str]:
    """`pirig VERB ...` of a page: lines of fenced blocks up to their gloss, and spans in backticks."""
    fenced = [line.strip() for block in re.findall(r"```\w*\n(.*?)```", text, re.S) for line in block.splitlines()]
    lines = [re.split(r"\s{2,}|\s#", line)[0] for line in fenced if line.startswith("pirig ")]
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    return [*lines, *(" ".join(span.split()) for span in re.findall(r"`(pirig\s[a-z][^`]*)`", prose))]


COMMANDS = sorted({(page.name, command) for page in PAGES for command in commands_of(page.read_text())})
IDS = [f"{page}: {command}" for page, command in COMMANDS]


def points_of(words: list[str]) -> list[list[str]]:
    """Overrides of every point of a sweep; lists in brackets are values."""
    choices = [
        [f"{key}={value}" for value in re.split(r",(?![^\[]*\])", values)]
        for key, _, values in (word.partition("=") for word in words)
    ]
    return [list(point) for point in itertools.product(*choices)]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """What FOLDER stands for, and a folder with the task that the README writes down."""
    folder = tmp_path_factory.mktemp("readme")
    (written,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (folder / "conf" / "task").mkdir(parents=True)
    (folder / "conf" / "task" / "lift_peg.yaml").write_text(written)
    return write_recording(folder / "mugs"), folder / "conf"


def compose_point(overrides: list[str], conf: Path) -> None:
    register_schema()
    searched = f"hydra.searchpath=[file://{conf}]"
    with hydra.initialize_config_module("pirig.conf", version_base="1.3"):
        composed = hydra.compose("config", [searched, *rewrite(overrides)], return_hydra_config=True)
    OmegaConf.set_struct(composed, False)
    del composed["hydra"]
    typed(composed)


def with_recording(command: str, recording: Path) -> str:
    return re.sub(r"(demos\.path)=(FOLDER|recordings/mugs)", rf"\1={recording}", command)


def help_of(verb: str) -> str:
    asked = subprocess.run([sys.executable, "-m", "pirig", verb, "--help"], capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr[-2000:]
    return asked.stdout


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=IDS)
def test_a_command_of_the_docs_can_be_typed(page, command, places):
    recording, conf = places
    _, verb, *words = shlex.split(with_recording(command, recording))
    for name in verb.split("|"):
        assert name in VERBS, f"{page}: no verb {name}"
        if name in CONFIG_FREE or "--help" in words:
            helped = help_of(name)
            for word in words:
                known = PLACEHOLDER.fullmatch(word) or "/" in word or word == "--help"
                assert known or all(part in helped for part in word.split("|")), f"{page}: {word} of {command}"
        else:
            assigned = [word for word in words if "=" in word and "..." not in word]
            of_flag = {after for flag, after in itertools.pairwise(words) if flag in ("--cfg", "--info")}
            spare = [word for word in words if word not in assigned and word not in of_flag and word[0] != "-"]
            folders = name in RUN_VERBS  # "outputs/kinova/RUN", "RUN/checkpoints/500"
            assert all(PLACEHOLDER.fullmatch(word) or "..." in word or (folders and "/" in word) for word in spare)
            points = points_of(assigned) if any(word in MULTIRUN for word in words) else [assigned]
            for point in points:
                compose_point(point, conf)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "docs" / FINDINGS, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("README*.md")), ROOT / "docs" / "results.md"], ids=lambda page: page.name
)
def test_files_that_a_page_names_are_there(page):
    spans = re.findall(r"`((?:conf|src|tests|docs|launchers|benchmarks)/[^`\s]*)`", page.read_text())
    named = [span.replace("NAME", "*").split("{")[0] for span in spans if "lift_peg" not in span]
    assert not [path for path in named if not list(ROOT.glob(path.rstrip("/")))]


def test_the_map_of_the_readme_is_the_tree():
    (tree,) = re.findall(r"```\n(conf/ .*?)```", (ROOT / "README.md").read_text(), re.S)
    top, rooms = set(re.findall(r"^(\w+)/", tree, re.M)), set(re.findall(r"^  ([\w./]+)", tree, re.M))
    package = ROOT / "src" / "pirig"
    assert all((ROOT / folder).is_dir() for folder in top)
    full = {f"{path.name}/" for path in package.iterdir() if len(list(path.rglob("*.py"))) > 1}
    assert rooms == full | {"contract.py"}, (
        "the map in README.md names each room of src/pirig that has a file, and no other"
    )


def test_make_targets_that_the_docs_name_exist():
    (known,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    named = {word for page in PAGES for word in re.findall(r"(?m)(?:`|^)make ([a-z-]+)", page.read_text())}
    named |= set(re.findall(r"`(test-[a-z]+)`", (ROOT / "docs" / "commands.md").read_text()))
    assert {"demo", "test"} <= named <= set(known.split())
