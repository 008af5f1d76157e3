"""`pirig verify` on a real run: it shows and judges nothing, but for a policy that would not act as it was trained."""

import json
import shutil
import subprocess
import sys

import pytest

from pirig.config.places import ASSETS
from pirig.contract import ContractError
from pirig.gates.finding import GateError
from pirig.runs.progress import newest_checkpoint
from pirig.stages import verify


def test_a_run_shows_shapes_ranges_and_times(smoke_run):
    command = [sys.executable, "-m", "pirig", "verify", str(smoke_run.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("float32 [16, 7]", "uint8 [1, 128, 128, 3]", "zeros ", "frame ", " ms, then"):
        assert words in done.stdout
    assert "ok " not in done.stdout and "WRONG" not in done.stdout


def test_a_data_set_of_another_contract_is_refused_before_any_inference(smoke_run, tmp_path, capsys):
    run = tmp_path / "smoke" / "one"
    shutil.copytree(smoke_run.folder, run)
    with pytest.raises(ValueError, match="the run's data set is not there; give its folder"):
        verify.main([str(run), str(tmp_path / "none")])
    contract = newest_checkpoint(run) / ASSETS / "contract.json"
    contract.write_text(json.dumps(json.loads(contract.read_text()) | {"control_hz": 10}))
    (data,) = smoke_run.root.glob("data/*/lerobot")
    with pytest.raises(ContractError, match=r"control_hz.*10.*20"):
        verify.main([str(run), str(data)])
    assert "actions" not in capsys.readouterr().out


def test_a_checkpoint_with_other_norm_stats_is_refused(smoke_run, tmp_path, capsys):
    run = tmp_path / "smoke" / "one"
    shutil.copytree(smoke_run.folder, run)
    stats = newest_checkpoint(run) / ASSETS / "norm_stats.json"
    told = json.loads(stats.read_text())
    told["norm_stats"]["actions"]["q99"] = [value + 0.5 for value in told["norm_stats"]["actions"]["q99"]]
    stats.write_text(json.dumps(told))
    (data,) = smoke_run.root.glob("data/*/lerobot")
    with pytest.raises(GateError, match=r"action number .*training saw .*norm stats"):
        verify.main([str(run), str(data)])
    assert "actions" not in capsys.readouterr().out


def test_no_checkpoint_yet_is_said(smoke_run, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(smoke_run.folder / "config.yaml", tmp_path / "run" / "config.yaml")
    with pytest.raises(ValueError, match="no checkpoint yet"):
        verify.main([str(tmp_path / "run")])
