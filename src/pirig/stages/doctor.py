"""`pirig doctor [RUN | DATASET]`: what would waste your time, before it does.

Without a path: can this machine plan, render and train? With a LeRobot folder or a run folder: every gate, on the data
set and on the newest checkpoint. Each line says what was found and, if wrong, what to do; exit status 1 if anything is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pirig.config.schema import GatesConfig
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
    from pirig.sim import renderer

    renderer.configure()
    report = renderer.probe()
    return report.ok, f"renderer {report.name}" + ("" if report.ok else f": {report.error}")


def _folder(folder: Path) -> int:
    """All gates of a data set, and of a checkpoint where the folder is a run."""
    from pirig.config.load import of_run
    from pirig.config.schema import GatesConfig
    from pirig.runs.record import norm_stats_file

    if (folder / "meta" / "info.json").is_file():
        return _data_set(folder / "meta" / "pirig" / "norm_stats.json", "quantile", GatesConfig())
    config = of_run(folder, [])
    from pirig.config.agreement import contract_of
    from pirig.stages.stats import relation_of

    wrong, path = _checkpoint(folder), norm_stats_file(config, contract_of(config))
    return max(wrong, _data_set(path, config.model.normalization, config.gates, relation_of(config)))


def _data_set(path: Path, normalization: str, settings: GatesConfig, relation: Relative | None = None) -> int:
    from pirig.datasets.lerobot_read import Dataset
    from pirig.gates.data import check
    from pirig.transforms.normalize import load_norm_stats

    folder = path.parents[2]
    if not path.is_file():
        raise ValueError(
            f"{path}: no norm stats there; run `pirig stats` with the settings that made this data set first."
        )
    print(f"data set {folder}")
    report = check(Dataset(folder), load_norm_stats(path), normalization, settings, relation=relation)
    print("\n".join(report.lines()))
    return 0 if report.good else 1


def _checkpoint(folder: Path) -> int:
    from pirig.evaluation.policy import load_pipeline, load_policy_record
    from pirig.gates import policy
    from pirig.gates.finding import run_gates
    from pirig.training.checkpoints import newest

    checkpoint = newest(folder)
    if checkpoint is None:
        print(f"run {folder}: no checkpoint yet")
        return 0
    print(f"checkpoint {checkpoint}")
    report = run_gates(policy.gates(load_pipeline(checkpoint), load_policy_record(checkpoint)), [])
    print("\n".join(report.lines()))
    return 0 if report.good else 1
