import os
import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import absl.logging
import pytest
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401 - the hook finds it by name
from tests.once import made_once

# What one test or one process of a test compiled, the others read: pytest ends as much earlier.
COMPILED = tempfile.TemporaryDirectory(prefix="pirig-compiled-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", COMPILED.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Hydra, called in a test, configures logging anew and so closes absl's handler, which closes its stream: not pytest's file.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

install_import_hook(["pirig.models", "pirig.transforms", "pirig.training"], "tests.shapes.checked")


SCREEN, MADE = "screen.txt", "<root>"  # what the smoke run said, and where it was made
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    """A real headless Chromium, for tests that are marked browser."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    assert path, "no Chromium: make test-browser installs one"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def smoke_run(pytestconfig, tmp_path_factory):
    """One real run of the whole chain (experiment=smoke): `root` of its outputs, its `folder`, its screen output."""
    root = made_once(pytestconfig, tmp_path_factory, "outputs", _make_smoke_run)
    screen = (root / SCREEN).read_text().replace(MADE, str(root))
    return SimpleNamespace(root=root, folder=root / "smoke" / "one", command=_smoke(root), screen=screen)


def _smoke(root):
    return [sys.executable, "-m", "pirig", "pipeline", "experiment=smoke", f"run.root={root}", "run.name=one"]


def _make_smoke_run(root):
    done = subprocess.run(_smoke(root), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    (root / SCREEN).write_text(done.stdout.replace(str(root), MADE))
