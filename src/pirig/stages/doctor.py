"""`pirig doctor [PATH ...] [key=value ...]`: what would waste your time, before it does?

Asks every gate of what it is given, and shows nothing else. Each line says what was found and, if wrong, what to do; exit
status 1 if anything is.

  pirig doctor                             can this machine plan, render and train?
  pirig doctor FILE | DEMOS | DATASET      is it complete, and are its numbers, pictures and actions good to train on? of any
                                           LeRobot data set: every frame decoded, counts, indices, sentences, statistics
  pirig doctor RUN                         the same of its data set; does the config show the goal, do run, checkpoint and
                                           data set agree, is the newest checkpoint served as it was trained, does it act?
  pirig doctor RUN/checkpoints/500         that checkpoint
  pirig doctor RUN gates.skip=[acts]       without a gate (acts loads the weights)
"""

from __future__ import annotations

from pathlib import Path


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    overrides = [word for word in arguments if "=" in word and not Path(word).exists()]
    paths = [Path(word) for word in arguments if word not in overrides]
    if not paths:
        return _machine()
    return max(_path(path, overrides) for path in paths)


def _machine() -> int:
    from pirig.gates import machine

    answers = list(machine.answers())
    for good, text in answers:
        print(("ok    " if good else "WRONG ") + text)
    return 0 if all(good for good, _ in answers) else 1


def _path(path: Path, overrides: list[str]) -> int:
    from pirig.gates.ask import reports

    good = True
    for title, report in reports(path, overrides):
        print("\n".join([title, *report.lines()]), flush=True)
        good = good and report.good
    return 0 if good else 1
