"""Several processes as one training: who starts them (SLURM's srun, or three variables), and what they agree on.

Each process drives its own devices and loads its own part of every batch; process 0 alone writes the run folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"


@dataclass(frozen=True)
class Group:
    """How this process joins the others; all None: JAX reads SLURM's variables itself.

    `gpus`: which of the node's GPUs this process drives; None leaves it to JAX.
    """

    address: str | None = None
    count: int | None = None
    index: int | None = None
    gpus: tuple[int, ...] | None = None


def find_group(environment: Mapping[str, str]) -> Group | None:
    """The group that the variables speak of; None for a process on its own.

    JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES and JAX_PROCESS_ID go first, then SLURM's step with several
    tasks (`srun`; a batch script's own shell is no such step). Raises ValueError where one of the three is missing.
    """
    settings = {name: environment[name] for name in (ADDRESS, COUNT, INDEX) if environment.get(name)}
    if settings:
        missing = [name for name in (ADDRESS, COUNT, INDEX) if name not in settings]
        if missing:
            raise ValueError(
                f"{', '.join(settings)} set but not {', '.join(missing)}: several processes need all three (address host:port "
                f"of process 0, how many, which one); unset {', '.join(settings)} to train in one process"
            )
        count, index = _number(settings, COUNT), _number(settings, INDEX)
        if not 0 <= index < count:
            raise ValueError(f"{INDEX}={index} with {COUNT}={count}: expected 0 to {count - 1}")
        return Group(settings[ADDRESS], count, index) if count > 1 else None
    in_step = environment.get("SLURM_STEP_NODELIST") and environment.get("SLURM_PROCID")
    tasks = environment.get("SLURM_STEP_NUM_TASKS") or environment.get("SLURM_NTASKS") or "1"
    return Group(gpus=_gpus(environment)) if in_step and int(tasks) > 1 else None


def _gpus(environment: Mapping[str, str]) -> tuple[int, ...] | None:
    """All of the node's where each node has one task; left alone, JAX gives every task of a SLURM step a single one."""
    one_task_each = re.fullmatch(r"1(\(x\d+\))?", environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    visible = [gpu for gpu in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    return tuple(range(len(visible))) or None if one_task_each else None


def _number(settings: Mapping[str, str], name: str) -> int:
    try:
        return int(settings[name])
    except ValueError as error:
        raise ValueError(f"{name}={settings[name]!r}: expected a whole number") from error


def join(environment: Mapping[str, str] | None = None) -> None:
    """Connects to the other processes if there are any. Before any array is made; a second call does nothing."""
    import jax

    group = find_group(os.environ if environment is None else environment)
    if group is not None and not jax.distributed.is_initialized():
        jax.distributed.initialize(group.address, group.count, group.index, group.gpus)


def is_first() -> bool:
    """True for the one process that writes."""
    import jax

    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Returns when every process has come to the point of this name."""
    import jax

    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


@contextmanager
def first_then_others(name: str) -> Iterator[None]:
    """The block runs in process 0 first (it makes files), then in the others (they find them)."""
    if not is_first():
        wait_for_all(name)
    yield
    if is_first():
        wait_for_all(name)


def any_says(wish: bool) -> bool:
    """True where any process says so: all of them stop at the same step."""
    import jax

    if jax.process_count() == 1:
        return wish
    import numpy as np
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.asarray(wish)).any())
