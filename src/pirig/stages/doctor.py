"""`pirig doctor [RUN | DATASET]`: what would waste your time, before it does.

Without a path: can this machine plan, render and train? With a LeRobot folder or a run folder: every gate, on the data
set, the config and the newest checkpoint. Each line says what was found and, if wrong, what to do; exit status 1 if
anything is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pirig.config.schema import GatesConfig
    from pirig.gates.finding import Report
    from pirig.transforms.relative import Relative


def main(arguments: list[str]) -> int:
    if arguments:
        if arguments[0] in ("-h", "--help"):
            print(__doc__)
            return 0
        return max(_folder(Path(argument)) for argument in arguments)
    lines = [_python(), _numpy(), _jax(), _renderer()]
    for good, text in lines:
        print(("ok    " if good else "WRONG ") + text)
    return 0 if all(good for good, _ in lines) else 1


def _python() -> tuple[bool, str]:
    good = sys.version_info[:2] in ((3, 11), (3, 12))
    return good, f"python {sys.version.split()[0]}" + ("" if good else ": install Python 3.11 or 3.12")


def _numpy() -> tuple[bool, str]:
    import numpy

    good = int(numpy.__version__.split(".")[0]) < 2
    return good, f"numpy {numpy.__version__}" + (
        ""
        if good
        else ": the motion planner crashes with numpy 2; pip install 'numpy<2' to make demos (training is fine)"
    )


def _jax() -> tuple[bool, str]:
    import jax

    return True, f"jax {jax.__version__} on {jax.devices()}"


def _renderer() -> tuple[bool, str]:
    from pirig.sim.maniskill import renderer

    renderer.configure()
    report = renderer.probe()
    return report.ok, f"renderer {report.name}" + ("" if report.ok else f": {report.error}")


def _folder(folder: Path) -> int:
    good = True
    for title, report in reports(folder):
        print("\n".join([title, *report.lines()]), flush=True)
        good = good and report.good
    return 0 if good else 1


def reports(folder: Path) -> Iterator[tuple[str, Report]]:
    """(what was asked, what the gates say) of a LeRobot folder, or of a run's config, newest checkpoint and data set."""
    from pirig.config.checks import goal_is_observable
    from pirig.config.load import of_run
    from pirig.config.places import META, STATS_FILE
    from pirig.config.schema import GatesConfig
    from pirig.gates.finding import Report

    if (folder / "meta" / "info.json").is_file():
        yield _data_set(folder / META / STATS_FILE, "quantile", GatesConfig())
        return
    config = of_run(folder, [])
    from pirig.config.places import places_of
    from pirig.stages.stats import relation_of

    unseen = goal_is_observable(config, allowed=False)
    yield f"config {folder / 'config.yaml'}", Report({"goal_is_observable": [unseen] if unseen else []}, [])
    yield _checkpoint(folder)
    yield _data_set(places_of(config).norm_stats, config.model.normalization, config.gates, relation_of(config))


def _data_set(
    path: Path, normalization: str, settings: GatesConfig, relation: Relative | None = None
) -> tuple[str, Report]:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.gates.data import check
    from pirig.transforms.normalize import load_norm_stats

    folder = path.parents[2]
    if not path.is_file():
        raise ValueError(
            f"{path}: no norm stats there; run `pirig stats` with the settings that made this data set first."
        )
    report = check(Dataset(folder), load_norm_stats(path), normalization, settings, relation=relation)
    return f"data set {folder}", report


def _checkpoint(folder: Path) -> tuple[str, Report]:
    from pirig.gates import policy
    from pirig.gates.finding import Report, run_gates
    from pirig.policies.card import PolicyCard
    from pirig.policies.policy import load_pipeline
    from pirig.runs.progress import newest_checkpoint

    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        return f"run {folder}: no checkpoint yet", Report({}, [])
    gates = policy.gates(load_pipeline(checkpoint), PolicyCard.load(checkpoint))
    return f"checkpoint {checkpoint}", run_gates(gates, [])
