"""`pirig inspect PATH ...`: what is in this file or folder?

Shows an .h5, an .npz, a folder of demos, a LeRobot data set, a run or a checkpoint: arrays with shapes, types and ranges,
contracts, settings, results. It judges nothing: whether it is good to train on is asked by `pirig doctor PATH`.
"""

from __future__ import annotations

from pathlib import Path


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    for argument in arguments:
        print("\n".join([argument, *_lines(Path(argument))]))
    return 0


def _lines(path: Path) -> list[str]:
    from pirig.datasets.inspect import look
    from pirig.evaluation.describe import describer

    describe = describer(path)
    return describe(path) if describe else look(path).lines
