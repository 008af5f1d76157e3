"""`pirig diagnose RUN [key=value ...]`: why does this run not succeed?

Measures the newest checkpoint of a run and writes RUN/diagnosis/diagnosis.html (and the numbers as diagnosis.json):
the contract and every gate; the open-loop action error on training and held-out frames (of ten new demos, where the
run held none out), by action number and by step of the chunk, beside always predicting the mean action and repeating
the last one; episodes that policy and demo share (one acts for a while, the other goes on); the funnel of sub-goals;
the input that evaluation feeds against the one that training saw; and a ranked list of causes with what to do. Some
minutes on a CPU.

  pirig diagnose outputs/quickstart/one
  pirig diagnose RUN run.checkpoint=RUN/checkpoints/500    another checkpoint than the newest
  pirig diagnose RUN gates.skip=[demo_replay]              without a gate
  pirig diagnose RUN train.validation_frames=64            fewer frames for the open-loop error (256 of each set)
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
    from pirig.config.load import of_run
    from pirig.config.places import DIAGNOSIS
    from pirig.diagnosis.page import nothing_found, verdict

    folder = Path(arguments[0])
    evidence, causes = make(of_run(folder, arguments[1:]))
    print(verdict(evidence))
    for place, cause in enumerate(causes, 1):
        print(f"{place:2}. {cause.says}\n    {cause.numbers}\n    do: {cause.remedy}")
    if not causes:
        print(nothing_found(evidence))
    for note in evidence.notes:
        print(f"note: {note}")
    print(f"page: {folder / DIAGNOSIS / 'diagnosis.html'}")
    return 0


def make(config: Config) -> tuple[Evidence, list[Cause]]:
    """Measures, ranks and writes the page."""
    from pirig.diagnosis import page
    from pirig.diagnosis.causes import ranked
    from pirig.diagnosis.measurement import Measurement
    from pirig.files.atomic import write_text

    measurement = Measurement(config)
    places, evidence = measurement.places, measurement.evidence()
    causes = ranked(evidence)
    write_text(places.diagnosis / "diagnosis.html", page.build(places.run.name, evidence, causes))
    numbers = {"causes": [dataclasses.asdict(cause) for cause in causes], "evidence": json.loads(evidence.to_json())}
    write_text(places.diagnosis / "diagnosis.json", json.dumps(numbers, indent=2) + "\n")
    return evidence, causes
