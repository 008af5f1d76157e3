"""A real checkpoint of our own that was cut off or copied in part: every verb names it and offers what is left, in a sentence."""

import logging
import shutil

import pytest

from pirig.cli import main
from pirig.config.places import ASSETS
from pirig.runs.progress import newest_checkpoint


def largest(folder):
    return max((file for file in folder.rglob("d/*") if file.is_file()), key=lambda file: file.stat().st_size)


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


OF_WEIGHTS = {
    "an array": lambda step: cut(largest(step / "params")),
    "an empty array": lambda step: largest(step / "params").write_bytes(b""),
    "an array that is gone": lambda step: largest(step / "params").unlink(),
    "the index": lambda step: cut(step / "params" / "manifest.ocdbt"),
    "the index that is gone": lambda step: (step / "params" / "manifest.ocdbt").unlink(),
    "the list of arrays": lambda step: cut(step / "params" / "_METADATA"),
}
TORN = OF_WEIGHTS | {
    "the card": lambda step: cut(step / ASSETS / "policy.json"),
    "the contract": lambda step: cut(step / ASSETS / "contract.json"),
    "the norm stats": lambda step: cut(step / ASSETS / "norm_stats.json"),
}


@pytest.fixture
def torn(smoke_run, tmp_path):
    """The run with an older step beside the newest, which is then torn."""
    run = tmp_path / "smoke" / "one"
    shutil.copytree(smoke_run.folder, run)
    (tmp_path / "data").symlink_to(smoke_run.root / "data")
    newest = newest_checkpoint(run)
    shutil.copytree(newest, newest.with_name("1"))
    return run, newest


@pytest.mark.parametrize("what", TORN)
def test_every_verb_names_it(torn, capsys, monkeypatch, what):
    monkeypatch.setattr(
        logging, "raiseExceptions", False
    )  # a handler of Orbax may hold the closed stream of an earlier test
    run, newest = torn
    TORN[what](newest)
    of_weights = [["weights", "verify", str(newest)]] if what in OF_WEIGHTS else []
    for words in (["verify", str(run)], *of_weights, ["doctor", str(run)]):
        assert main(words) != 0, (words, capsys.readouterr().out)
        said = capsys.readouterr()
        told = said.out + said.err
        assert str(newest) in told and "Traceback" not in told, (words, told)
        longest = max(told.replace(str(newest), "").splitlines(), key=len)
        assert len(longest) < 600, (words, longest)
