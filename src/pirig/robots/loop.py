"""A served policy moves an arm: chunks are asked for while the last one is executed, so thinking does not stop the arm.

The policy's rate is the contract's; between two of its targets the driver gets a straight line at its own, higher rate. An
action's place in its chunk is the number of steps since the observation that it answers, so a chunk that comes late goes on
where the arm is by then, and its first actions are passed over (as `eval.delay` has it in a simulator). With `rtc` the policy is
told what is underway, and that the next chunk will come as late as the slowest of the last ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from pirig.contract import Contract
from pirig.policies.underway import Underway
from pirig.robots.clock import Clock, Jitter
from pirig.robots.door import Reading, Robot
from pirig.robots.episode import Episode
from pirig.robots.safety import Monitor, SafetyStop
from pirig.transforms.state import within_turn

REMEMBERED = 10  # chunks, of which the slowest says how late the next will be
DELTA_MODES = ("joint_delta",)  # whose actions are changes of the joints' targets per step
MODES = ("joint_position", *DELTA_MODES)
NUMBERS = 8  # of an action: seven joints and the gripper


def require_drivable(contract: Contract) -> None:
    """Raises ValueError where the policy's actions are no joints of an arm: they would be taken for some."""
    if contract.control_mode not in MODES or contract.action_dim != NUMBERS:
        raise ValueError(
            f"this policy moves {contract.robot_uid} by {contract.control_mode} of {contract.action_dim} numbers "
            f"({contract.action_layout}); pirig robot drives {' or '.join(MODES)} of {NUMBERS}, seven joints and the gripper; "
            "nothing is moved; serve a policy that was trained with control=kinova_joints or control=kinova_joint_deltas"
        )


class Thinker(Protocol):
    def ask(self, reading: Reading, underway: Underway | None = None) -> None:
        """Begins to think; one question at a time."""
        ...

    def answer(self) -> np.ndarray | None:
        """The chunk [steps, 8] of the last question, once; None while there is none yet. Raises what the policy raised."""
        ...


class PolicyThinker:
    """A policy (remote or local) in a thread of its own."""

    def __init__(self, infer: Callable[[Reading, Underway | None], np.ndarray]):
        self._infer, self._threads = infer, ThreadPoolExecutor(1, thread_name_prefix="policy")
        self._asked: Future[np.ndarray] | None = None

    def ask(self, reading: Reading, underway: Underway | None = None) -> None:
        assert self._asked is None, "one question at a time"
        self._asked = self._threads.submit(self._infer, reading, underway)

    def answer(self) -> np.ndarray | None:
        if self._asked is None or not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        return asked.result()


@dataclass
class Chunk:
    """Actions that answer the observation of step `step`, made at `time_s`."""

    actions: np.ndarray
    step: int
    time_s: float

    def at(self, step: int) -> np.ndarray | None:
        place = step - self.step
        return self.actions[place] if 0 <= place < len(self.actions) else None

    def underway(self, step: int, delay: int) -> Underway | None:
        """What it foresees from `step` on, for a chunk that will come `delay` steps later; None behind its end."""
        left = self.actions[step - self.step :]
        return Underway(left, min(delay, len(left))) if len(left) else None


@dataclass
class Report:
    """`waited`: steps for which no action was there, so that the arm held its target. `late`: of each chunk but the first, the
    steps from its observation to its arrival."""

    steps: int
    chunks: int
    waited: int
    policy_ticks: Jitter
    driver_ticks: Jitter
    stopped: str = ""
    late: list[int] = field(default_factory=list)
    frames: Episode | None = field(default=None, repr=False)

    def lines(self) -> list[str]:
        return [
            f"steps       {self.steps}, {self.chunks} chunks, {self.waited} steps waited for an action{self._said_late()}",
            f"policy      {self.policy_ticks.said()}",
            f"driver      {self.driver_ticks.said()}",
            f"ended       {self.stopped or 'after the time that was asked for'}",
        ]

    def _said_late(self) -> str:
        if not self.late:
            return ""
        return f"; chunks came {np.median(self.late):g} steps late (median), at most {max(self.late)}"


class ControlLoop:
    """`execute`: steps of a chunk before the next one is asked for; `driver_hz`: a multiple of the contract's rate; `rtc`: the
    policy goes on from what is underway."""

    def __init__(
        self,
        robot: Robot,
        thinker: Thinker,
        contract: Contract,
        monitor: Monitor,
        clock: Clock,
        *,
        execute: int,
        driver_hz: int,
        rtc: bool = False,
    ):
        if driver_hz < contract.control_hz or driver_hz % contract.control_hz:
            raise ValueError(
                f"a driver's rate of {driver_hz} Hz: expected a multiple of the policy's {contract.control_hz} Hz"
            )
        require_drivable(contract)
        self.robot, self.thinker, self.contract, self.monitor, self.clock = robot, thinker, contract, monitor, clock
        self.rtc = rtc
        self.execute, self.between = execute, driver_hz // contract.control_hz
        self.period_s, self.driver_s = 1 / contract.control_hz, 1 / driver_hz

    def run(self, seconds: float, task: str = "") -> Report:
        """Until `seconds` are over or a rule stops the arm; the arm is stopped in every case, also where anything raises."""
        report = Report(0, 0, 0, Jitter(self.period_s), Jitter(self.driver_s), frames=Episode(task, 1 / self.period_s))
        try:
            self._run(round(seconds / self.period_s), report)
        except SafetyStop as stop:
            report.stopped = f"stopped: {stop}"
        except (ValueError, OSError) as error:  # the server went away, a camera broke: the frames that were driven stay
            report.stopped = f"stopped: {error}"
        finally:
            self.robot.stop()
        return report

    def _run(self, steps: int, report: Report) -> None:
        reading = self.robot.read()
        self._target, self._asked_at, self._chunk = reading.state, None, self._first_chunk(reading)
        started_s = self.clock.now_s()
        report.chunks += 1
        for step in range(steps):
            planned_s = started_s + step * self.period_s
            self.clock.sleep_until(planned_s)
            report.policy_ticks.tick(planned_s, self.clock.now_s())
            self._step(step, planned_s, report)
            report.steps += 1

    _chunk: Chunk
    _target: np.ndarray
    _asked_at: tuple[int, float] | None
    _first_late: int

    def _first_chunk(self, reading: Reading) -> Chunk:
        """The arm waits for it: nothing moves yet."""
        asked_s = self.clock.now_s()
        self.thinker.ask(reading)
        while (actions := self.thinker.answer()) is None:
            self.clock.sleep_until(self.clock.now_s() + self.driver_s)
        self._first_late = math.ceil((self.clock.now_s() - asked_s) / self.period_s)
        return Chunk(actions, 0, self.clock.now_s())

    def _step(self, step: int, planned_s: float, report: Report) -> None:
        reading = self.robot.read()
        reading = replace(reading, joint_position=self._named(reading.joint_position))
        self._think(step, reading, report)
        action = self._chunk.at(step)
        if action is None:
            report.waited += 1
        target = self._target if action is None else self._aim(action)
        assert report.frames is not None
        report.frames.add(reading.images, reading.state, target)
        self._move(target, reading, planned_s, report)
        self._target = target

    def _think(self, step: int, reading: Reading, report: Report) -> None:
        if self._asked_at and (actions := self.thinker.answer()) is not None:
            report.late.append(step - self._asked_at[0])
            self._chunk, self._asked_at = Chunk(actions, *self._asked_at), None
            report.chunks += 1
        if self._asked_at is None and step - self._chunk.step >= self.execute:
            expected = max(report.late[-REMEMBERED:], default=self._first_late)
            self.thinker.ask(reading, self._chunk.underway(step, expected) if self.rtc else None)
            self._asked_at = step, reading.time_s

    def _aim(self, action: np.ndarray) -> np.ndarray:
        """f32 [8]: an absolute target, of an action as the contract means it."""
        change = self.contract.control_mode in DELTA_MODES
        joints = self._target[:-1] + action[:-1] if change else self._named(action[:-1])
        return np.append(joints, action[-1]).astype(np.float32)

    def _named(self, joints_rad: np.ndarray) -> np.ndarray:
        """f32 [7], each joint that turns without end in the turn of its last target: the arm and the policy may count from
        another one, and a straight line from 3.1 to -3.1 would go all the way round."""
        endless = np.isinf(self.monitor.kinematics.limits.high_rad)
        return np.where(endless, within_turn(joints_rad, self._target[:-1].tolist()), joints_rad).astype(np.float32)

    def _move(self, target: np.ndarray, reading: Reading, planned_s: float, report: Report) -> None:
        """A straight line from the last target to this one, in the driver's steps; the whole of it is checked first."""
        now_s = self.clock.now_s()
        ages = {"dt_s": self.period_s, "age_s": now_s - self._chunk.time_s, "now_s": now_s}
        self.monitor.check(target, self._target, reading, **ages)
        for tick in range(self.between):
            tick_s = planned_s + tick * self.driver_s
            self.clock.sleep_until(tick_s)
            report.driver_ticks.tick(tick_s, self.clock.now_s())
            if self.monitor.stopped_by_hand():
                raise SafetyStop("stopped by hand")
            part = (tick + 1) / self.between
            self.robot.command(self._target + part * (target - self._target))
