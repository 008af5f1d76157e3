"""Every kind of trouble that was reported has at least three inputs here, by the tests that pytest collects."""

import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
LEAST = 3


def collected(folders):
    """FILE::TEST[INPUT] of this folder, of another one with ../ before it."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    said = subprocess.run([*command, *folders], capture_output=True, text=True, cwd=HERE.parent.parent).stdout
    ids = [line for line in said.splitlines() if "::" in line]
    return [one.removeprefix("tests/field/").replace("tests/", "../").replace(".py::", "::") for one in ids]


def test_every_kind_has_three_inputs():
    kinds = yaml.safe_load((HERE / "kinds.yaml").read_text())
    asked = {kind: [tuple(word.split(" ", 1)) for word in words] for kind, words in kinds.items()}
    files = {HERE / f"{test.split('::')[0]}.py" for words in asked.values() for test, *_ in words}
    ids = collected([str(file.resolve()) for file in sorted(files)])
    counts = {
        kind: len(
            {one for test, *like in words for one in ids if one.startswith(test) and all(word in one for word in like)}
        )
        for kind, words in asked.items()
    }
    few = {kind: count for kind, count in counts.items() if count < LEAST}
    assert len(kinds) >= 49 and not few
    idle = [
        (kind, test)
        for kind, words in asked.items()
        for test, *_ in words
        if not any(one.startswith(test) for one in ids)
    ]
    assert not idle, "these tests are not there"
