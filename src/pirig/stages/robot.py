"""`pirig robot`: a served policy moves an arm, under rules that stop it."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pirig.policies.remote import RemotePolicy
    from pirig.policies.underway import Underway
    from pirig.robots.door import Reading, Robot
    from pirig.robots.loop import Report

ABOUT = """\
Lets the policy of a server (pirig serve RUN) move an arm. Press s (or Ctrl-C) to stop it at once.

  pirig robot --dry-run                                    a simulated Gen3, to see the chain run
  pirig robot ws://gpu-box:8000 --robot kortex --address 192.168.1.10 --seconds 60 --task "Put the mug away"

Before the first run on an arm: docs/kinova.md. The arm stops by itself where a joint, its speed, the tool's box, the distance to
a target or the age of an action is outside the rules; the report says which. Every step is kept as an npz episode in --log."""


def main(arguments: list[str]) -> int:
    """0 where the time that was asked for is over, 1 where a rule or a key stopped the arm."""
    from pirig.robots.door import require_robot
    from pirig.robots.episode import require_place
    from pirig.stages.options import COUNT, DRIVER_HZ, DURATION_S, SPEED, Options

    parser = Options("pirig robot", description=ABOUT)
    parser.add_argument(
        "uri", nargs="?", default="ws://127.0.0.1:8000", help="the policy's server (default: %(default)s)"
    )
    parser.add_argument("--robot", default="kortex", help="kortex or simulated (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="a simulated arm in place of the real one")
    parser.add_argument("--address", default="192.168.1.10", help="of the arm (default: %(default)s)")
    parser.add_argument("--seconds", type=DURATION_S, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--execute", type=COUNT, default=8, help="steps of a chunk before the next is asked for")
    parser.add_argument("--rtc", action="store_true", help="chunks go on from what is underway; needs serve.rtc=true")
    parser.add_argument("--driver-rate", type=DRIVER_HZ, default=100, help="commands a second (default: %(default)s)")
    parser.add_argument(
        "--speed", type=SPEED, default=0.5, help="share of the joints' own fastest (default: %(default)s)"
    )
    parser.add_argument("--task", default="", help="what the policy is told; default: its contract's one sentence")
    parser.add_argument("--log", type=Path, help="folder for the episode that was driven")
    try:
        options = parser.read(arguments)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return int(stop.code or 0)
    require_robot(options.robot)
    if options.log:
        require_place(options.log)
    return _drive(options)


def _drive(options: argparse.Namespace) -> int:
    from pirig.contract import Contract
    from pirig.policies.remote import Connection, RemotePolicy
    from pirig.robots.loop import require_drivable

    key = os.environ.get("PIRIG_API_KEY", "")
    told = Connection(options.uri, key).open()
    told.close()
    if "contract" not in told.metadata:
        raise ValueError(f"{options.uri}: this server does not say its contract (pirig serve does); nothing is moved")
    contract = Contract.from_json(told.metadata["contract"], options.uri)
    require_drivable(contract)
    if len(contract.scenes) > 1 and not options.task:
        known = "; ".join(scene.prompt for scene in contract.scenes)
        raise ValueError(f"this policy knows {len(contract.scenes)} tasks; give --task with one of: {known}")
    policy = RemotePolicy(options.uri, contract, api_key=key, connections=1)
    robot = _robot(options, policy)
    try:
        report = _loop(options, policy, robot)
    finally:
        robot.close()
        policy.close()
    print("\n".join(report.lines()))
    if options.log and report.frames and (path := report.frames.save(options.log, "driven")):
        print(f"log         {path}")
    return 1 if report.stopped else 0


def _robot(options: argparse.Namespace, policy: RemotePolicy) -> Robot:
    from pirig.robots.door import open_robot

    if not options.dry_run:
        return open_robot(options.robot, options.address)
    camera = policy.contract.cameras[0]
    return open_robot("simulated", "", height_px=camera.height_px, width_px=camera.width_px)


def _loop(options: argparse.Namespace, policy: RemotePolicy, robot: Robot) -> Report:
    import numpy as np

    from pirig.robots.clock import RealClock
    from pirig.robots.kinematics import Kinematics
    from pirig.robots.loop import ControlLoop, PolicyThinker
    from pirig.robots.safety import Monitor, SafetyRules

    told = [options.task or policy.contract.scenes[0].prompt]

    if options.rtc and not policy.blends:
        raise ValueError(
            "--rtc: this server takes no chunk that is underway; start it with pirig serve RUN serve.rtc=true"
        )

    def infer(reading: Reading, underway: Underway | None) -> np.ndarray:
        noise = np.zeros((1, *policy.noise_shape), np.float32)
        return policy.infer([reading.observation], noise, told, underway=[underway])[0]

    with _stop_key() as pressed:
        monitor = Monitor(SafetyRules(velocity_share=options.speed), Kinematics(), pressed)
        loop = ControlLoop(
            robot,
            PolicyThinker(infer),
            policy.contract,
            monitor,
            RealClock(),
            execute=options.execute,
            driver_hz=options.driver_rate,
            rtc=options.rtc,
        )
        return loop.run(options.seconds, told[0])


@contextlib.contextmanager
def _stop_key() -> Iterator[Callable[[], bool]]:
    """Whether s was pressed, or Ctrl-C came; without a terminal Ctrl-C alone."""
    from pirig.robots.keys import terminal

    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        if not sys.stdin.isatty():
            yield stopped.is_set
            return
        with terminal() as keys:
            yield lambda: stopped.is_set() or keys.pressed() == "s"
    finally:
        signal.signal(signal.SIGINT, before)
