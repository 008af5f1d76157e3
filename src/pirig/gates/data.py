"""The gates of a data set, in the order of their cost; run before training and by `pirig doctor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pirig.config.schema import Config, GatesConfig
from pirig.contract import RECORDED
from pirig.datasets.joined import Joined
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.workers import Pool, WorkerPool
from pirig.gates import arm, images, numbers, recorded, simulated
from pirig.gates.finding import Report, load, require_good, run_gates, save
from pirig.runs.progress import newest_checkpoint
from pirig.sim.door import unavailable
from pirig.transforms.normalize import NormStats
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.relative import Relative

Gates = dict[str, Callable[[], list[str]]]
SIMULATED = ("first_frame", "demo_replay")
NO_SCENES = "the data set does not say in which scene each episode starts, so the simulator cannot be asked for it"


def cheap(
    dataset: Dataset,
    stats: dict[str, NormStats],
    normalization: str,
    held_out: Sequence[int] = (),
    relation: Relative | None = None,
) -> Gates:
    """Gates without a simulator: seconds. What was recorded on an arm is asked more, since no simulator can be asked of it."""
    of_recordings: Gates = {
        "lead": lambda: recorded.lead(dataset),
        "moves": lambda: recorded.moves(dataset),
        "pictures": lambda: recorded.pictures(dataset),
    }
    gates: Gates = {
        "finite": lambda: numbers.finite(dataset),
        "seeds": lambda: numbers.seeds(dataset),
        "episodes": lambda: numbers.episodes(dataset),
        "actions": lambda: numbers.actions(dataset),
        "angles": lambda: arm.angles(dataset),
        "gripper": lambda: numbers.gripper(dataset) + arm.gripper(dataset),
        "gripper_state": lambda: numbers.state_has_gripper(dataset),
        "statistics": lambda: numbers.statistics(dataset, stats, normalization, held_out, relation),
        "image_size": lambda: images.sizes(dataset),
        "images": lambda: images.shown(dataset),
    }
    return gates | (of_recordings if dataset.contract.simulator == RECORDED else {})


def check(
    dataset: Dataset,
    stats: dict[str, NormStats],
    normalization: str,
    settings: GatesConfig,
    pipeline: Pipeline | None = None,
    held_out: Sequence[int] = (),
    relation: Relative | None = None,
) -> Report:
    """Every gate of a data set whose `stats` leave out the episodes `held_out` and are of actions with that `relation`
    to the state.

    Those that ask the simulator run where the contract's simulator is installed.
    """
    gates = cheap(dataset, stats, normalization, held_out, relation)
    if not dataset.scenes_known:
        del gates["seeds"]
        return replace(run_gates(gates, settings.skip), impossible=dict.fromkeys(("seeds", *SIMULATED), NO_SCENES))
    report = run_gates(gates, settings.skip)
    if why_not := unavailable(dataset.contract):
        return replace(report, impossible=dict.fromkeys(SIMULATED, why_not))
    if set(SIMULATED) <= set(settings.skip):
        return Report(report.found, [*report.skipped, *SIMULATED])
    if not report.good:
        return report  # what is wrong already would only be found again, at a higher price
    with WorkerPool(dataset.contract, 1) as pool:
        simulated = in_simulator(dataset, pipeline, pool, settings)
    return Report(report.found | simulated.found, report.skipped + simulated.skipped)


def check_mix(dataset: Joined, pipeline: Pipeline, settings: GatesConfig, held_out: Sequence[int] = ()) -> Report:
    """Every gate of each task's data set, in that task's simulator; the statistics are those of all together, or where each
    task has its own, that task's."""
    kind, relation, others = pipeline.normalization, pipeline.relative, settings
    sentences_of, impossible = dict[str, list[str]](), dict[str, str]()
    if not pipeline.stats_of:
        joint = {"statistics": lambda: numbers.statistics(dataset, pipeline.stats, kind, held_out, relation)}
        sentences_of |= run_gates(joint, settings.skip).found
        others = replace(settings, skip=[*settings.skip, "statistics"])
    for task, part in dataset.parts.items():
        own, left_out = pipeline.of_task(task), dataset.own_episodes(task, held_out)
        asked = check(part, own.stats, kind, others, own, left_out, relation)
        for gate, sentences in asked.found.items():
            sentences_of[gate] = [*sentences_of.get(gate, []), *(f"{task}: {sentence}" for sentence in sentences)]
        impossible |= asked.impossible
    return Report(sentences_of, list(settings.skip), impossible)


def require_good_data(config: Config, dataset: Dataset, pipeline: Pipeline, held_out: Sequence[int], run: Path) -> None:
    """Raises GateError where the data set would waste the training; the report is the run's gates.json.

    A run that goes on has passed them: they are not asked again.
    """
    if newest_checkpoint(run) and load(run) is not None:
        return
    if isinstance(dataset, Joined):
        report = check_mix(dataset, pipeline, config.gates, held_out)
    else:
        trained_as = pipeline, held_out, pipeline.relative
        report = check(dataset, pipeline.stats, config.model.normalization, config.gates, *trained_as)
    save(report, run)
    require_good(report, "training")


def in_simulator(dataset: Dataset, pipeline: Pipeline | None, pool: Pool, settings: GatesConfig) -> Report:
    """Does this simulator show what the data set shows, and do the demos' actions succeed in it?"""
    gates: Gates = {
        "first_frame": lambda: simulated.first_frame(dataset, pool),
        "demo_replay": lambda: simulated.replay(dataset, pipeline, pool, settings.replay_episodes),
    }
    return run_gates(gates, settings.skip)
