"""`pirig inspect PATH ...`: what an h5, npz, demos folder or LeRobot folder holds, and what it lacks for training."""

from __future__ import annotations

from pathlib import Path


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{__doc__}\n\n  pirig inspect FILE_OR_FOLDER [...]")
        return 0 if arguments else 2
    from pirig.datasets.inspect import describe

    for argument in arguments:
        print("\n".join(describe(Path(argument))))
    return 0
