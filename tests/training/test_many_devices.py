"""FSDP and several processes on virtual CPU devices: the same numbers as one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pirig.training import checkpoints
from pirig.training.processes import Group, find_group
from pirig.training.sharding import make_placement, split_axis

SCRIPT = Path(__file__).parent / "many_devices.py"


def start(folder, options, devices, **variables):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", **variables}
    command = [sys.executable, str(SCRIPT), str(folder), json.dumps(options)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return json.loads(out.splitlines()[-1])


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_eight_devices_equal_one_and_resume(tmp_path):
    runs = [("one", 0, 6, False), ("fsdp8", 8, 6, False), ("mesh", 4, 3, False), ("mesh", 4, 6, True)]
    found = finish(start(tmp_path, {"runs": runs}, 8))
    assert found["devices"] == 8 and found["split"] == [[213, 2], [213, 4], [213, 4]]
    one = losses(tmp_path / "one")
    assert len(one) == 6 and one[-1] != one[0]
    for name in ("fsdp8", "mesh"):
        np.testing.assert_allclose(losses(tmp_path / name), one, atol=1e-5, rtol=0)
    params = [checkpoints.load_params(tmp_path / name / "checkpoints" / "6") for name in ("one", "mesh")]
    np.testing.assert_allclose(params[1]["in"]["kernel"], params[0]["in"]["kernel"], atol=1e-5)


def test_two_processes_equal_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = {"runs": [("two", 4, 6, False)], "accumulate": 2, "held_out": True}
    variables = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    pair = [start(tmp_path, options, 2, JAX_PROCESS_ID=str(index), **variables) for index in range(2)]
    one = start(tmp_path, {"runs": [("one", 0, 6, False)], "held_out": True}, 1)
    found = [finish(process) for process in (*pair, one)]
    assert [entry["processes"] for entry in found] == [2, 2, 1] and found[0]["devices"] == 4
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-5, rtol=0)
    rows = [json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1]) for name in ("two", "one")]
    np.testing.assert_allclose(rows[0]["validation_loss"], rows[1]["validation_loss"], atol=1e-5)
    params = [checkpoints.load_params(tmp_path / name / "checkpoints" / "6") for name in ("one", "two")]
    np.testing.assert_allclose(params[1]["in"]["kernel"], params[0]["in"]["kernel"], atol=1e-5)


def test_an_auxiliary_loss_is_the_same_on_eight_devices_and_resumes(tmp_path):
    runs = [("one", 0, 6, False), ("mesh", 4, 3, False), ("mesh", 4, 6, True)]
    finish(start(tmp_path, {"runs": runs, "labels": True, "held_out": True}, 8))
    names = ("loss", "total_loss", "cube_loss")
    read = {name: (tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "mesh")}
    rows = {name: [json.loads(line) for line in lines] for name, lines in read.items()}
    for name in names:
        np.testing.assert_allclose(
            [row[name] for row in rows["mesh"]], [row[name] for row in rows["one"]], atol=1e-5, rtol=0
        )
    last = rows["one"][-1]["validation_cube_cube_position_mm"], rows["mesh"][-1]["validation_cube_cube_position_mm"]
    np.testing.assert_allclose(*last, rtol=1e-4)
    assert last[0] > 0


@pytest.mark.parametrize(
    ("path", "shape", "axis"),
    [
        ("PaliGemma/llm/layers/mlp/linear", (18, 16384, 2048), 1),
        ("PaliGemma/llm/layers/attn/q_einsum/w", (16, 8, 2049, 255), 1),  # the depth is never split
        ("PaliGemma/llm/embedder/input_embedding", (257152, 2048), 0),
        ("action_in_proj/kernel", (32, 1024), None),  # 128 KiB
        ("long/bias", (1 << 22,), None),
        ("odd/kernel", (4097, 4095), None),
    ],
)
def test_which_axis_is_split(path, shape, axis):
    assert split_axis(path, shape, 4, 8, 4 << 20) == axis
    assert split_axis(path, shape, 4, 1, 4 << 20) is None


def test_devices_and_batch_must_divide():
    with pytest.raises(ValueError, match=r"fsdp=4 with 1 cpu device: .* choose fsdp=1"):
        make_placement(4, batch_size=8)
    with pytest.raises(ValueError, match=r"train\.batch_size=9 .* choose train\.batch_size=8"):
        make_placement(1, batch_size=9, accumulate=2)


def test_who_starts_several_processes():
    step = {"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_PROCID": "1"}
    assert find_group({}) is None
    assert find_group({**step, "SLURM_NTASKS": "2"}) == Group()
    one_each = {**step, "SLURM_NTASKS": "2", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    assert find_group({**one_each, "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}) == Group(gpus=(0, 1, 2, 3))
    assert find_group({**one_each, "SLURM_STEP_TASKS_PER_NODE": "2"}) == Group()  # JAX gives each task one
    assert find_group({**step, "SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_group({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}) is None  # a batch script without srun
    three = {"JAX_COORDINATOR_ADDRESS": "n1:1234", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"}
    assert find_group({**step, "SLURM_NTASKS": "4", **three}) == Group("n1:1234", 2, 1)
    with pytest.raises(ValueError, match=r"JAX_NUM_PROCESSES, JAX_PROCESS_ID: several"):
        find_group({"JAX_COORDINATOR_ADDRESS": "n1:1234"})
    with pytest.raises(ValueError, match="expected 0 to 1"):
        find_group({**three, "JAX_PROCESS_ID": "2"})
