"""What a contract says of LIBERO beside what every simulator's does. Each changed published numbers somewhere."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pirig.contract import Contract

CONTROL_MODE, ACTION_DIM, SIM_HZ = "osc_pose_delta", 7, 500  # robosuite's OSC_POSE; its time step is not to be chosen


@dataclass(frozen=True)
class Settings:
    """`mujoco`, `robosuite`: versions. `env_seed`: of the environment before a stored initial state is set (it places what is no
    part of that state, cabinets and stoves). `wait_steps`: with an open hand at rest, before an episode begins. `turn_deg`: of
    the cameras' pictures."""

    mujoco: str
    robosuite: str
    env_seed: int
    wait_steps: int
    turn_deg: int


def settings_of(contract: Contract) -> Settings:
    """Raises ValueError naming what is missing, unknown or not possible here."""
    told: dict[str, Any] = dict(contract.settings)
    known = [field.name for field in fields(Settings)]
    if set(told) != set(known):
        raise ValueError(
            f"task.settings has {', '.join(told) or 'nothing'}; LIBERO expects {', '.join(known)}: choose "
            "task=libero_spatial or another of its suites, whose file has them."
        )
    settings = Settings(**told)
    if settings.turn_deg not in (0, 180):
        raise ValueError(f"task.settings.turn_deg={settings.turn_deg}: expected 180, as openpi turns them, or 0.")
    if settings.wait_steps < 0 or settings.env_seed < 0:
        raise ValueError(f"task.settings: {settings}; expected env_seed and wait_steps of at least 0.")
    wrong = {
        "control.mode": (contract.control_mode, CONTROL_MODE),
        "control.action_dim": (contract.action_dim, ACTION_DIM),
        "control.sim_hz": (contract.sim_hz, SIM_HZ),
    }
    for key, (got, expected) in wrong.items():
        if got != expected:
            raise ValueError(f"{key}={got} with LIBERO: expected {expected}; choose control=osc_pose.")
    return settings


def require_versions(settings: Settings) -> None:
    """Raises ValueError where another MuJoCo or robosuite is installed than the contract says: physics and pictures differ."""
    for name in ("mujoco", "robosuite"):
        wanted, here = getattr(settings, name), _installed(name)
        if here != wanted:
            raise ValueError(
                f"task.settings.{name}={wanted}, and {here or 'none'} is installed here; python -m pip install {name}=={wanted}, "
                f"or, to measure with this one on purpose, task.settings.{name}={here}: its results are told apart."
            )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
