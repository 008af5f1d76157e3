"""A training that does not fit is refused before anything is loaded, and again once its step is compiled."""

import re

import jax
import pytest

from pirig.config.load import compose
from pirig.config.schema import TrainConfig
from pirig.policies.build import model_of
from pirig.runs import hardware
from pirig.training import memory, start
from pirig.training.memory import Remedies, Room, estimate, require_fits, room_of


def test_a_cpu_has_what_the_machine_has_free(monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: 8_000_000_000)
    room = room_of(TrainConfig())
    assert room.have == 8_000_000_000 // jax.local_device_count() and "of memory" in room.of
    assert room_of(TrainConfig(memory_limit_gb=2.5)) == Room(2_500_000_000, "train.memory_limit_gb")


class Device:
    platform, device_kind = "gpu", "NVIDIA H100 80GB HBM3"

    def __init__(self, **statistics):
        self.statistics = statistics

    def memory_stats(self):
        return self.statistics


@pytest.mark.parametrize(
    "used_gb, own_gb, pool_gb, have_gb, words",
    [
        (64, 60, 60, 60, "XLA's share"),  # the pool is ours
        (64, None, 60, 60, "XLA's share"),  # in a container nvidia-smi does not know our process
        (70, 20, 20, 30, "others hold 50.0"),
        (70, None, 20, 30, "others hold 50.0"),
    ],
)
def test_a_gpu_has_what_other_processes_leave(monkeypatch, used_gb, own_gb, pool_gb, have_gb, words):
    gpu = hardware.Gpu(Device.device_kind, 80 * 10**9, used_gb * 10**9)
    monkeypatch.setattr(hardware, "gpus", lambda: [gpu])
    monkeypatch.setattr(hardware, "held_on_gpus", lambda: None if own_gb is None else own_gb * 10**9)
    device = Device(bytes_limit=60 * 10**9, pool_bytes=pool_gb * 10**9)
    monkeypatch.setattr(memory.jax, "local_devices", lambda: [device])
    room = room_of(TrainConfig())
    assert room.have == have_gb * 10**9 and words in room.of


def refused(*overrides):
    config = compose([*overrides])
    model = model_of(config, 257152)
    trainable = start.trainable_of(model, freeze_vision=config.finetune.freeze_vision)
    with pytest.raises(ValueError) as caught:
        start.require_memory(config, model, trainable, cameras=1, tokens=16)
    return str(caught.value)


FULL = ("size=full", "model=pi0", "horizon=50", "weights=pi0_base", "task=stack_cube", "train.batch_size=8")


def test_the_full_size_on_a_small_machine_is_refused_with_what_would_fit(monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: 23_000_000_000 * jax.local_device_count())
    said = refused(*FULL, "finetune=full")
    found = re.match(
        r"this training needs (\d+)\.\d GB per device \(estimated\), there are 23\.0 \(free of .*give (.*); or end",
        said,
    )
    assert found and int(found[1]) > 60, said
    words = found[2].split(" or ")
    assert "finetune=lora_light" in " ".join(words) and "fsdp" not in said
    monkeypatch.setattr(hardware, "available_bytes", lambda: 23_000_000_000 * jax.local_device_count())
    for one in words:  # each, typed, is accepted
        config = compose([*FULL, "finetune=full", *one.split()])
        model = model_of(config, 257152)
        trainable = start.trainable_of(model, freeze_vision=config.finetune.freeze_vision)
        start.require_memory(config, model, trainable, cameras=1, tokens=16)


def test_where_nothing_fits_that_is_said(monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: 1_000_000_000 * jax.local_device_count())
    assert "no setting of it fits, not even finetune=lora_light" in refused(*FULL, "finetune=lora")


def test_a_cpu_also_needs_room_for_writing_a_checkpoint():
    """lora_light of the full size: what trains is copied, frozen leaves of 2.4 GB go out through Orbax's buffers."""
    from pirig.training.flops import Shape

    config = compose([*FULL, "finetune=lora_light"])
    model = model_of(config, 257152)
    trainable = start.trainable_of(model, freeze_vision=True)
    needs = estimate(model, config.train, Shape(1, 16), trainable=trainable)
    copied = needs.optimizer + needs.optimizer // 2 + needs.ema
    assert 3e9 < needs.saving - copied < 6e9 and needs.total == needs.step + needs.saving
    remedies = Remedies(needs.total, {}, saving=needs.saving)
    assert "while a checkpoint is written" in needs.table() and remedies.saving == needs.saving


def test_of_smaller_batches_only_the_largest_that_fits_is_named(monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: 21_000_000_000 * jax.local_device_count())
    said = refused("size=tiny", "weights=scratch", "train.batch_size=100000000")
    assert len(re.findall(r"train\.batch_size=\d+", said)) == 1 and "no setting of it fits" not in said


def test_the_compiled_need_scales_the_remedies():
    remedies = Remedies(10, {"train.ema=0": 9, "finetune=lora_light": 4})
    require_fits(20, Room(20, "of it"), remedies, "by the compiled step")
    with pytest.raises(ValueError, match=r"by the compiled step\), there are .*give finetune=lora_light; or end"):
        require_fits(20, Room(10, "of it"), remedies, "by the compiled step")
    require_fits(20, None, remedies, "estimated")
