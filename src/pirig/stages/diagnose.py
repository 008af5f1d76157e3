"""`pirig diagnose RUN [key=value ...]`: why does this run not succeed?

Measures the newest checkpoint of a run and writes RUN/diagnosis/diagnosis.html, of a mix a page for each task in
RUN/diagnosis/TASK/ (and the numbers as diagnosis.json): the contract and every gate; the open-loop action error on
training and held-out frames (of ten new demos, where the run held none out), by action number and by step of the chunk,
beside always predicting the mean action and repeating the last one; episodes that policy and demo share (one acts for a
while, the other goes on); the funnel of sub-goals; the input that evaluation feeds against the one that training saw; and
a ranked list of causes with what to do. Some minutes on a CPU.

  pirig diagnose outputs/quickstart/one
  pirig diagnose RUN run.checkpoint=RUN/checkpoints/500    another checkpoint than the newest
  pirig diagnose RUN gates.skip=[demo_replay]              without a gate
  pirig diagnose RUN train.validation_frames=64            fewer frames for the open-loop error (256 of each set)
  pirig diagnose RUN task=push_cube                        of a mix: that task (without it one page for each)
  pirig diagnose RUN gates.replay_episodes=2               fewer episodes that policy and demo share (5),
                                                           and fewer new demos (10)
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pirig.config.schema import Config
    from pirig.diagnosis.causes import Cause
    from pirig.diagnosis.evidence import Evidence


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    from pirig.config.arguments import run_of
    from pirig.config.load import of_run

    folder, words = run_of("diagnose", arguments)
    named = [word.removeprefix("task=") for word in words if word.startswith("task=")]
    config = of_run(folder, [word for word in words if not word.startswith("task=")])
    for task in tasks_asked(config, named[-1] if named else None):
        if task:
            print(f"task {task}")
        show(*make(config, task))
    return 0


def tasks_asked(config: Config, name: str | None) -> list[str]:
    """`name`: one task's; None: every task of a mix, or the one of a run that is no mix. Raises ValueError on another name."""
    from pirig.config.mixes import configs_of

    known = list(configs_of(config))
    if name is None or (known == [""] and name == config.task.name):
        return known
    if name not in known:
        raise ValueError(
            f"task={name}: expected a task of this run, {', '.join(known) if known[0] else config.task.name}"
        )
    return [name]


def show(evidence: Evidence, causes: list[Cause], page: Path) -> None:
    from pirig.diagnosis.page import nothing_found, verdict

    print(verdict(evidence))
    for place, cause in enumerate(causes, 1):
        print(f"{place:2}. {cause.says}\n    {cause.numbers}\n    do: {cause.remedy}")
    if not causes:
        print(nothing_found(evidence))
    for note in evidence.notes:
        print(f"note: {note}")
    print(f"page: {page}")


def make(config: Config, task: str = "") -> tuple[Evidence, list[Cause], Path]:
    """Measures, ranks and writes the page; `task`: of a mix, which of its tasks."""
    from pirig.diagnosis import page
    from pirig.diagnosis.causes import ranked
    from pirig.diagnosis.measurement import Measurement
    from pirig.files.atomic import write_text

    measurement = Measurement(config, task)
    name, folder, evidence = measurement.places.run.name, measurement.folder, measurement.evidence()
    causes, path = ranked(evidence), folder / "diagnosis.html"
    write_text(path, page.build(f"{name} {task}".strip(), evidence, causes))
    numbers = {"causes": [dataclasses.asdict(cause) for cause in causes], "evidence": json.loads(evidence.to_json())}
    write_text(folder / "diagnosis.json", json.dumps(numbers, indent=2) + "\n")
    return evidence, causes, path
