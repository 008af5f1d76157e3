"""`pirig collect`: records episodes on an arm, as npz files."""

from __future__ import annotations

import argparse
from pathlib import Path

ABOUT = """\
Records episodes on an arm: Enter begins and keeps one, d throws it away, r begins it again, q ends.

  pirig collect data/mugs --task "Put the mug away" --robot kortex --address 192.168.1.10
  pirig collect /tmp/try --task "Try the keys"                      with a simulated arm

Each episode is one file, data/mugs/libero_format/*_libero_*.npz, written whole or not at all; shorter than 5 frames is no
episode. They train as they are: `pirig pipeline experiment=kinova_full demos.path=data/mugs` (docs/kinova.md)."""


def main(arguments: list[str]) -> int:
    from pirig.robots.door import require_robot
    from pirig.stages.options import COUNT_OR_NONE, FRAMES_HZ, Options, words

    parser = Options("pirig collect", description=ABOUT)
    parser.add_argument("data", type=Path, help="folder of the recordings")
    parser.add_argument("--task", type=words, required=True, help="what the arm does, in words: the policy's prompt")
    parser.add_argument("--robot", default="simulated", help="simulated or kortex (default: %(default)s)")
    parser.add_argument("--address", default="", help="of the arm")
    parser.add_argument("--rate", type=FRAMES_HZ, default=10.0, help="frames a second (default: %(default)s)")
    parser.add_argument("--episodes", type=COUNT_OR_NONE, default=0, help="end after so many; 0: when q is pressed")
    try:
        options = parser.read(arguments)
    except SystemExit as stop:  # argparse has printed help (0) or what is wrong (2)
        return int(stop.code or 0)
    require_robot(options.robot)
    return _record(options)


def _record(options: argparse.Namespace) -> int:
    from pirig.robots.clock import RealClock
    from pirig.robots.collect import Recorder
    from pirig.robots.door import open_robot
    from pirig.robots.episode import require_place
    from pirig.robots.keys import terminal

    require_place(options.data)
    with terminal() as keys:
        robot = open_robot(options.robot, options.address)
        try:
            recorder = Recorder(robot, keys, RealClock(), options.data, options.task, options.rate)
            jitter = recorder.run(options.episodes)
        finally:
            robot.close()
    print(f"{len(recorder.saved)} episodes in {options.data}; {jitter.said()}")
    return 0
