"""What `conf/hydra/launcher/*.yaml` may say, typed; and the resource class of a stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pirig.config.domains import Count, CountOrNone, Positive, outside
from pirig.config.schema import Config

Settings = TypeVar("Settings")


@dataclass
class StageRequest:
    """`cpus` and `memory_gb` are per GPU; of the whole job where `gpus` is 0. None: as for the other stages."""

    gpus: CountOrNone | None = 0
    cpus: Count = 4
    memory_gb: Positive = 16.0
    time_min: Count = 240
    partition: str | None = None
    constraint: str | None = None


@dataclass
class SlurmSettings:
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    gpus_per_node: Count = 8
    parallel: Count = 256
    signal_delay_s: CountOrNone = 300
    max_requeues: CountOrNone = 100
    poll_s: Positive = 5.0
    setup: list[str] = field(default_factory=list)
    data: StageRequest = field(default_factory=StageRequest)
    train: StageRequest = field(default_factory=lambda: StageRequest(gpus=None))
    eval: StageRequest = field(default_factory=lambda: StageRequest(gpus=1))


@dataclass
class LocalSettings:
    workers: Count = 1


@dataclass(frozen=True, order=True)
class Resources:
    """One resource class: points with equal ones share a job array."""

    nodes: int
    gpus_per_node: int
    cpus: int
    memory_gb: float
    time_min: int
    partition: str | None
    constraint: str | None

    def __str__(self) -> str:
        if not self.gpus_per_node:
            return "cpu"
        return f"gpu{self.gpus_per_node}" if self.nodes == 1 else f"{self.nodes}x{self.gpus_per_node}gpu"


def read(kind: type[Settings], values: dict[str, Any]) -> Settings:
    """Raises ValueError on an unknown key, a value of the wrong type or one outside its domain."""
    try:
        settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), values))
    except OmegaConfBaseException as error:
        raise ValueError(f"hydra.launcher: {str(error).splitlines()[0]}; see conf/hydra/launcher/") from error
    if broken := outside(settings):
        raise ValueError("\n".join(f"hydra.launcher.{sentence}" for sentence in broken))
    return settings  # type: ignore[return-value]


def check(settings: SlurmSettings) -> None:
    """Raises ValueError where a job would be warned of its end at its start, and so be requeued for ever."""
    for name in ("data", "train", "eval"):
        limit_s = getattr(settings, name).time_min * 60
        if limit_s <= settings.signal_delay_s:
            raise ValueError(
                f"hydra.launcher.{name}.time_min={limit_s // 60} with signal_delay_s={settings.signal_delay_s}: the job "
                f"would be asked to stop as soon as it starts; give more than {settings.signal_delay_s // 60} minutes."
            )


def resources(config: Config, section: str, settings: SlurmSettings) -> Resources:
    """`section` is data, train or eval. A train stage without `gpus` gets one GPU per device that `fsdp` splits over.

    Raises ValueError where the GPUs do not fill whole nodes.
    """
    request: StageRequest = getattr(settings, section)
    gpus = config.fsdp.devices if request.gpus is None else request.gpus
    per_node = min(gpus, settings.gpus_per_node)
    if gpus and gpus % per_node:
        raise ValueError(
            f"fsdp={gpus} with hydra.launcher.gpus_per_node={per_node}: several nodes are used whole; choose a multiple."
        )
    share = max(per_node, 1)
    return Resources(
        nodes=max(gpus // per_node, 1) if per_node else 1,
        gpus_per_node=per_node,
        cpus=request.cpus * share,
        memory_gb=request.memory_gb * share,
        time_min=request.time_min,
        partition=request.partition or settings.partition,
        constraint=request.constraint or settings.constraint,
    )
