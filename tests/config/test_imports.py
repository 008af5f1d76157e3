"""import-linter sees statements: no room is imported by a string, but a verb's stage by the command line above all rooms."""

import ast
import importlib.util
import re
from pathlib import Path

import pirig

BY_NAME = re.compile(r"(import_module|__import__|run_module|run_path)\([^)]*pirig|\"-m\",\s*\"pirig")


def test_no_room_is_imported_by_a_string():
    top = Path(pirig.__file__).parent
    found = {str(path.relative_to(top)) for path in top.rglob("*.py") if BY_NAME.search(path.read_text())}
    assert found == {"cli.py"}


def test_the_check_sees_what_it_looks_for():
    for line in ('importlib.import_module(f"pirig.stages.{verb}")', '[sys.executable, "-m", "pirig.sweeps.job", file]'):
        assert BY_NAME.search(line)
    assert not BY_NAME.search('importlib.import_module(f"openpi.{name}")')


def test_every_module_of_ours_that_a_benchmark_imports_is_there():
    """Inside functions too, where nothing else looks before somebody measures."""
    imported = set()
    for path in (Path(pirig.__file__).parents[2] / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
    ours = {name for name in imported if name.split(".")[0] in ("pirig", "benchmarks", "tests")}
    assert len(ours) > 50
    assert not {name for name in ours if not importlib.util.find_spec(name)}
