"""`pirig eval experiment=libero_published` and `eval.server=` in LIBERO itself (`make test-libero`), with a tiny checkpoint of
pi05_libero's layout: the lab's commands, with other weights and fewer steps."""

import json
import subprocess
import sys

import pytest

from tests.evaluation.libero import published
from tests.served import served

pytestmark = pytest.mark.libero
FEW = ["task=libero_object", "task.only=7", "eval.episodes=1", "eval.max_steps=12", "eval.videos=0", "eval.workers=1"]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return published.write(tmp_path_factory.mktemp("openpi") / "pi05_libero")


def rates_of(root, *words: str) -> tuple[dict, str]:
    """Of `pirig eval`, as a process; what it has said."""
    done = subprocess.run(
        [sys.executable, "-m", "pirig", "eval", *FEW, *words, f"run.root={root}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (rates,) = root.glob("libero_published/*/eval/*/rates.json")
    return json.loads(rates.read_text()), done.stdout


def test_the_labs_command_measures_a_checkpoint_and_says_whose_it_is(words, tmp_path):
    rates, said = rates_of(tmp_path, *words)
    assert (rates["policy"]["n"], rates["policy"]["max_steps"]) == (1, 12)
    assert "pi0.5 weights that were not trained in this run" in said and "physical-intelligence/libero" in said


def test_a_served_checkpoint_is_measured_over_openpis_protocol(words, tmp_path):
    with served(*words, *FEW[:2], f"run.root={tmp_path / 'served'}", "serve.max_batch=1") as (port, _):
        server = [f"eval.server=ws://127.0.0.1:{port}", "eval.layout=libero"]
        rates, said = rates_of(tmp_path, *published.WORDS, "weights=scratch", *server)
    assert rates["policy"]["n"] == 1 and "served" in said
