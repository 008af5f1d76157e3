"""The numbers of a recording in the contract's units, and at its rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pirig.config.agreement import TARGETS
from pirig.config.mapping import DataConfig
from pirig.config.state_entries import Owner, entries_of, state_entry
from pirig.contract import RECORDED, Contract
from pirig.transforms.state import within_turn

GRIPPER_UNIT, ANGLE_UNIT = "0 open, 1 closed", "rad"
PADDED = "it was padded, which comes after normalising"  # openpi pads to 32, but then


def state_units(entries: Sequence[str]) -> list[str]:
    """Of each number of a real arm's state; of a simulator's they are what the simulator says already."""
    known = [state_entry(name) for name in entries]
    return [unit if entry.owner == Owner.arm else "" for entry in known for unit in entry.units]


def action_units(contract: Contract) -> list[str]:
    """The unit of each number of a real arm's actions, by its name in the layout."""
    if contract.simulator != RECORDED or not contract.control_mode.startswith("joint"):
        return [""] * contract.action_dim
    return state_units(entries_of(contract.action_layout.split()))


def filled(numbers: np.ndarray) -> int:
    """How many of [T, D] there are before those at the end that are always 0."""
    return int(np.flatnonzero(numbers.any(axis=0)).max(initial=-1)) + 1


def in_units(numbers: np.ndarray, units: Sequence[str], data: DataConfig) -> np.ndarray:
    """[T, n] as recorded -> angles in rad, grippers from 0 to 1, the others as they are."""
    angle = np.pi / 180 if data.angle_unit == "deg" else 1.0
    factors = [angle if unit == ANGLE_UNIT else 1.0 for unit in units]
    return numbers * factors / [data.gripper_max if unit == GRIPPER_UNIT else 1.0 for unit in units]


def as_contract(
    state: np.ndarray, actions: np.ndarray, contract: Contract, recorded_hz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """f32 [K, S] and f32 [K, A] at the contract's rate, angles within pi of their centres, and the recorded frame of each row;
    None where all are taken."""
    of_state = np.array([unit == ANGLE_UNIT for unit in state_units(contract.state)])
    of_actions = np.array([unit == ANGLE_UNIT for unit in action_units(contract)])
    frames = None
    if recorded_hz != contract.fps:
        state, actions = (
            np.where(angles, np.unwrap(numbers, axis=0), numbers)
            for numbers, angles in ((state, of_state), (actions, of_actions))
        )
        state, actions, frames = resampled(state, actions, recorded_hz, contract.fps)
    if contract.angle_center_rad:
        state[:, of_state] = within_turn(state[:, of_state], contract.angle_center_rad)
        if contract.control_mode in TARGETS:
            actions[:, of_actions] = within_turn(actions[:, of_actions], contract.angle_center_rad)
    return state.astype(np.float32), actions.astype(np.float32), frames


def resampled(
    state: np.ndarray, actions: np.ndarray, recorded_hz: float, asked_hz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[T, S] and targets [T, A] at another rate, and the newest recorded frame at the time of each row, i64 [K].

    State t was measured at t / recorded_hz, target t is to be reached one frame later; both are joined by straight lines.
    """
    last_s = (len(state) - 1) / recorded_hz
    times_s = np.arange(int(last_s * asked_hz + 1e-9) + 1) / asked_hz
    recorded_s = np.arange(len(state)) / recorded_hz
    states = np.stack([np.interp(times_s, recorded_s, column) for column in state.T], axis=1)
    due = [np.interp(times_s + 1 / asked_hz, recorded_s + 1 / recorded_hz, column) for column in actions.T]
    return states, np.stack(due, axis=1), (times_s * recorded_hz + 1e-6).astype(int)


def read_as(data: DataConfig, leave_out: Sequence[int] | None = None) -> dict[str, Any]:
    """How a recording is read, under the names that records have for it; younger keys only where they say something."""
    usual = DataConfig()
    told: dict[str, Any] = {
        "state_columns": list(data.state),
        "action_columns": list(data.actions),
        "angle_unit": data.angle_unit,
        "gripper_max": data.gripper_max,
    }
    told |= {} if leave_out is None else {"leave_out": list(leave_out)}
    younger = ("prompt", "fps", "resample")
    return told | {name: getattr(data, name) for name in younger if getattr(data, name) != getattr(usual, name)}
