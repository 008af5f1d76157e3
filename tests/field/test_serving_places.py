"""What a server and its neighbours ask before anything is loaded, and which run or step was meant."""

import dataclasses
import os
import socket

import pytest

from pirig.cli import main
from pirig.config.load import compose
from pirig.files.orbax import LONGEST_REASON, _reason
from pirig.runs.progress import chosen_checkpoint
from pirig.serving.server import require_cameras, require_port
from pirig.transforms.normalize import load_norm_stats


def test_a_port_that_is_taken_is_said_before_a_policy_is_loaded():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=rf"serve.host=127.0.0.1 serve.port={port}: .*in use.*give serve.port=0"):
            require_port("127.0.0.1", port)
    require_port("127.0.0.1", port)
    require_port("127.0.0.1", 0)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_none_to_listen_on(host):
    with pytest.raises(ValueError, match=rf"serve.host={host} serve.port=0: .*give serve.host=127.0.0.1"):
        require_port(host, 0)


def test_a_benchmarks_camera_is_one_that_the_policy_sees():
    require_cameras({"agentview": "base_0_rgb"}, ["base_0_rgb"])
    with pytest.raises(ValueError, match=r"serve.cameras.agentview=base: this policy sees base_0_rgb, left"):
        require_cameras({"agentview": "base"}, ["base_0_rgb", "left_wrist_0_rgb"])


@pytest.mark.parametrize("word", ["10", "20", "", "checkpoints/10"])
def test_a_checkpoint_is_a_step_or_a_folder(tmp_path, word):
    for step in ("10", "20"):
        (tmp_path / "checkpoints" / step).mkdir(parents=True)
    given = str(tmp_path / word) if "/" in word else word
    config = compose(["task=push_cube", f"run.checkpoint={given}"] if word else ["task=push_cube"])
    assert chosen_checkpoint(config, tmp_path) == tmp_path / "checkpoints" / (word.rpartition("/")[2] or "20")
    missing = dataclasses.replace(config, run=dataclasses.replace(config.run, checkpoint="7"))
    with pytest.raises(ValueError, match=r"run.checkpoint=7: .* holds 10, 20; give run.checkpoint=20\."):
        chosen_checkpoint(missing, tmp_path)


@pytest.mark.parametrize("text", [None, "", "[]", '{"norm_stats": {"state": {"mean": [0]}}}'])
def test_statistics_of_a_checkpoint_are_not_computed_anew(tmp_path, text):
    for folder, said in (("assets/pirig", "copy the checkpoint again"), ("meta/pirig", "`pirig stats`")):
        file = tmp_path / folder / "norm_stats.json"
        file.parent.mkdir(parents=True)
        if text is not None:
            file.write_text(text)
        with pytest.raises(ValueError, match=said):
            load_norm_stats(file)


def test_what_tensorstore_says_is_one_line_of_whole_words():
    long = "OUT_OF_RANGE: Error reading " + "params.a.b " * 60
    assert len(_reason(ValueError(long))) <= LONGEST_REASON and _reason(ValueError(long)).endswith("params.a.b ...")
    said = _reason(ValueError("cannot read index (slice(0, 4)). See full TensorStore details: <bound method x>\nmore"))
    assert said == "cannot read index (slice(0, 4))" and _reason(KeyError()) == "KeyError"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs/e/base/checkpoints/20").mkdir(parents=True)
    (tmp_path / "outputs/e/base/config.yaml").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("verb", ["eval", "serve", "verify", "diagnose", "doctor", "inspect"])
@pytest.mark.parametrize("folder", ["outputs", "outputs/e", "outputs/e/base/checkpoints"])
def test_a_folder_around_or_in_a_run_is_answered_with_the_run(runs, verb, folder, capsys):
    assert main([verb, folder]) == 1
    assert f"did you mean {os.path.join('outputs', 'e', 'base')}?" in capsys.readouterr().err
