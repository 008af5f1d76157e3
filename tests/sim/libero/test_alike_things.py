"""Which of LIBERO's things no picture tells apart, beside what its own files of tasks place (`make test-libero`)."""

import re
from pathlib import Path

import pytest

from pirig.config.load import compose

pytestmark = pytest.mark.libero


@pytest.mark.parametrize("suite", ["libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90"])
def test_a_suite_names_all_things_of_one_kind(suite):
    from libero.libero import get_libero_path

    of_kind = {}
    for file in (Path(get_libero_path("bddl_files")) / suite).glob("*.bddl"):
        objects = re.search(r"\(:objects(.*?)\)", file.read_text(), re.DOTALL)[1]
        for things, kind in re.findall(r"((?:\w+ )+)- (\w+)", " ".join(objects.split())):
            of_kind.setdefault(kind, set()).update(things.split())
    assert len(of_kind) >= 4
    several = {kind: sorted(things) for kind, things in of_kind.items() if len(things) > 1}
    assert {look: list(things) for look, things in compose([f"task={suite}"]).task.alike.items()} == several
