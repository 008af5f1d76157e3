"""What a stage took is kept beside what it made, and what the machine has is read as the kernel says it."""

import json
import mmap

import pytest

from pirig.runs import hardware, stages
from pirig.runs.record import environment


def test_each_time_a_stage_runs_is_an_entry(tmp_path):
    with stages.measured(tmp_path, "train") as told:
        told["steps"] = 3
        held = bytearray(60_000_000)
        held[::4096] = b"1" * len(held[::4096])
        del held
    with pytest.raises(ValueError, match="no"), stages.measured(tmp_path, "train"):
        raise ValueError("no")
    with pytest.raises(KeyboardInterrupt), stages.measured(tmp_path, "eval"):
        raise KeyboardInterrupt
    first, second, third = stages.entries(tmp_path)
    assert [entry["ended"] for entry in (first, second, third)] == ["done", "failed", "stopped"]
    assert first["steps"] == 3 and first["peak_gb"] > 0.06
    assert first["hardware"]["cores"] >= 1 and first["hardware"]["memory_gb"] > 0.1
    of_train, of_eval = stages.costs([first | {"minutes": 2.0}, second | {"minutes": 1.5}, third])
    assert (of_train.stage, of_train.minutes, of_train.gpu_peak_gb) == ("train", 3.5, None)
    assert of_train.peak_gb == max(first["peak_gb"], second["peak_gb"]) and of_eval.stage == "eval"
    assert of_train.hardware.startswith(f"{first['hardware']['cores']} cores, ")


def test_a_peak_is_the_stages_own(tmp_path):
    with (
        stages.measured(tmp_path, "one"),
        mmap.mmap(-1, 200_000_000) as held,
    ):  # new pages, whatever earlier tests left free
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
    with stages.measured(tmp_path, "two"):
        pass
    one, two = stages.entries(tmp_path)
    assert two["peak_gb"] < one["peak_gb"] - 0.15


def test_nothing_is_made_for_a_stage_that_made_nothing_and_a_torn_record_is_begun_again(tmp_path):
    with stages.measured(tmp_path / "nowhere", "demos"):
        pass
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / stages.FILE_NAME).write_text("[{")
    with stages.measured(tmp_path, "demos"):
        pass
    assert [entry["stage"] for entry in stages.entries(tmp_path)] == ["demos"]


def fake_smi(monkeypatch, gpus, processes=""):
    answers = {"--query-gpu": gpus, "--query-compute-apps": processes}
    monkeypatch.setattr(hardware, "_smi", lambda query: answers[query.partition("=")[0]].splitlines())


TWO = "0, GPU-aa, 81559, 1000, NVIDIA H100 80GB HBM3\n1, GPU-bb, 24564, 20000, NVIDIA GeForce RTX 4090"


def test_gpus_are_those_that_are_visible(monkeypatch):
    fake_smi(monkeypatch, TWO)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [gpu.name for gpu in hardware.gpus()] == ["NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 4090"]
    for visible in ("1", "GPU-bb"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        (gpu,) = hardware.gpus()
        assert (gpu.memory, gpu.used) == (24564 * 2**20, 20000 * 2**20)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not hardware.gpus() and hardware.described()["gpus"] == []
    assert stages.in_words({"cores": 4, "memory_gb": 64.0, "gpus": [{"name": "A", "memory": 80.0}] * 2}) == (
        "4 cores, 64 GB, 2 x A (80 GB)"
    )


@pytest.mark.parametrize("version", [1, 2])
def test_a_cgroups_limit_counts_with_what_else_runs_in_it(monkeypatch, tmp_path, version):
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    folder = root / ("memory" if version == 1 else "") / "job" / "step"
    (proc / "self").mkdir(parents=True)
    folder.mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("5:memory:/job/step\n" if version == 1 else "0::/job/step\n")
    (proc / "meminfo").write_text("MemTotal: 64000000 kB\nMemAvailable: 60000000 kB\n")
    (proc / "self" / "status").write_text("VmRSS: 1000000 kB\nVmHWM: 2000000 kB\n")
    monkeypatch.setattr(hardware, "PROC", proc)
    monkeypatch.setattr(hardware, "CGROUP", root)
    assert hardware.cgroup_limit() is None and hardware.available_bytes() == 61_000_000 * 1024
    limit, used = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
    )
    (folder.parent / limit).write_text("8000000000\n")
    (folder / limit).write_text(str(2**63 - 4096) if version == 1 else "max\n")
    (folder / used).write_text(f"{3_500_000_000}\n")
    (folder / "memory.stat").write_text(
        "total_inactive_file 500000000\n" if version == 1 else "inactive_file 500000000\n"
    )
    assert hardware.cgroup_limit() == 8_000_000_000
    assert hardware.available_bytes() == 8_000_000_000 - (3_000_000_000 - 1_000_000 * 1024)
    assert hardware.peak_bytes() == 2_000_000 * 1024


def test_the_environment_has_what_changes_memory_and_speed_and_no_key(monkeypatch):
    monkeypatch.setenv("XLA_PYTHON_CLIENT_ALLOCATOR", "platform")
    monkeypatch.setenv("WANDB_API_KEY", "secret-of-a-user")
    monkeypatch.setenv("PIRIG_API_KEY", "secret-of-a-user")
    found = json.dumps(environment())
    assert '"XLA_PYTHON_CLIENT_ALLOCATOR": "platform"' in found and "secret" not in found
