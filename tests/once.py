"""What takes minutes to make and is the same for every test is made by one of pytest's processes; each uses a copy of its own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(
    config: pytest.Config, temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Path:
    """A folder that `make(folder)` filled. The first process that asks makes it, the others wait; what failed is made anew."""
    own = temporary.getbasetemp()
    shared = own.parent if hasattr(config, "workerinput") else own  # of this pytest's processes alone
    folder, done = shared / f"once-{name}", shared / f"once-{name}.done"
    with FileLock(shared / f"once-{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return shutil.copytree(folder, temporary.mktemp(name), symlinks=True, dirs_exist_ok=True)
