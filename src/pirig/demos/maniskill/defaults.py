"""What ManiSkill takes where a trajectory file's sidecar does not say: the environment's robot, the robot's control mode."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from pirig.foreign.faults import shown


def robot_of(env_kwargs: Mapping[str, Any]) -> str | None:
    """robot_uids as one name; None where the file does not say. Raises ValueError for several robots."""
    told = env_kwargs.get("robot_uids")
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if told is None or told == "":
        return None
    if not isinstance(told, str):
        raise ValueError(f"env_kwargs.robot_uids is {shown(told)}; expected one robot: choose a file of one.")
    return told


def default_robot(env_id: str) -> str:
    """The robot of an environment that is made without one (StackCube: panda_wristcam). Raises ValueError for no such one."""
    import mani_skill.envs  # noqa: F401  (registers the tasks)
    from mani_skill.utils.registration import REGISTERED_ENVS

    if env_id not in REGISTERED_ENVS:
        raise ValueError(f"env_id {env_id!r}: ManiSkill registers no such task; see conf/task/")
    spec = REGISTERED_ENVS[env_id]
    told = spec.default_kwargs.get("robot_uids")
    return str(told or inspect.signature(spec.cls.__init__).parameters["robot_uids"].default)


@functools.cache
def default_mode(robot: str) -> str:
    """The first of a robot's control modes, which ManiSkill takes where none is asked for."""
    import mani_skill.agents  # noqa: F401  (registers the robots)
    from mani_skill.agents.registration import REGISTERED_AGENTS

    agent = REGISTERED_AGENTS[robot].agent_cls
    return str(next(iter(agent.__new__(agent)._controller_configs)))


@functools.cache
def known_robots() -> frozenset[str]:
    """The names that an articulation of a state can be a robot's by."""
    import mani_skill.agents  # noqa: F401
    from mani_skill.agents.registration import REGISTERED_AGENTS

    return frozenset(REGISTERED_AGENTS)
