"""`pirig eval`: the success rate of a checkpoint, beside its two baselines: the demos replayed, and what training started from.

`pirig eval weights.path=FOLDER task=...` measures a checkpoint of openpi's that was never trained here, by its own norm stats
(or `weights.norm_stats=...`) and the config's contract.

`pirig eval eval.server=ws://HOST:PORT task=...` measures whatever policy a server of openpi's protocol serves, without a run.

For an arm that is not simulated: the open-loop action error on recorded episodes, since success is measured on the arm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.measuring import SimBackend
from pirig.config.mixes import configs_of
from pirig.config.places import ASSETS, Places, places_of
from pirig.config.recorded import takes_recording
from pirig.config.scenes import CHOICE, RANGES
from pirig.config.schema import Config
from pirig.contract import Contract, require_equal
from pirig.evaluation import on_served
from pirig.evaluation.on_given import (
    as_run,
    demos_of,
    given_weights,
    note,
    open_given,
    require_own_start,
    target_of_given,
)
from pirig.evaluation.target import Target, of_task, recorded_folder, target_of
from pirig.files.atomic import write_text
from pirig.gates import policy
from pirig.gates.finding import Report, require_good, run_gates, save
from pirig.runs import stages
from pirig.runs.lock import held
from pirig.runs.progress import chosen_checkpoint, steps_saved
from pirig.runs.record import open_run, recorded, set_status

if TYPE_CHECKING:
    from pirig.evaluation.measured import Measured
    from pirig.evaluation.workers import Pool
    from pirig.policies.card import PolicyCard
    from pirig.policies.given import Given


def run(config: Config) -> int:
    places = places_of(config)
    if steps := steps_asked(config, places):
        with held(places.run):
            print("\n".join(curve(config, places, steps)))
        return 0
    if source := given_weights(config, places):
        return _run_given(config, places, source)
    if on_served.is_alone(config, places):
        return _run_served(config, places)
    chosen_checkpoint(config, places.run)  # or there is nothing to hold
    with held(places.run):
        measured = make(config, places)
    print("\n".join(measured.lines()))
    return 0


def steps_asked(config: Config, places: Places) -> list[int]:
    """Of `run.checkpoint=all` or `=1000,2000`: saved steps, ascending; [] where one checkpoint is meant.

    Raises ValueError where one is not there, or success is not measured in a simulator.
    """
    word, saved = str(config.run.checkpoint or ""), steps_saved(places.run)
    if word != "all" and not re.fullmatch(r"\d+(,\d+)*", word):
        return []
    if not config.robot.simulated or config.mix is not None:
        raise ValueError(f"run.checkpoint={word}: a curve of success rates needs a simulator and one task")
    asked = saved if word == "all" else sorted({int(step) for step in word.split(",")})
    missing = [step for step in asked if step not in saved]
    if missing or not asked:
        raise ValueError(
            f"run.checkpoint={word}: {places.checkpoints} holds {', '.join(map(str, saved)) or 'none'}; train with "
            "train.keep_every=N to keep every N-th"
        )
    return asked


def curve(config: Config, places: Places, steps: list[int]) -> Iterator[str]:
    """A line for each checkpoint, and which is best, on scenes that nothing else is measured on; kept in `places.choice`."""
    rows = {}
    chosen_on = replace(config.eval, first_seed=RANGES[CHOICE].start, oracle_episodes=0, untrained_episodes=0, videos=0)
    for step in steps:
        own = replace(config.run, checkpoint=str(places.checkpoints / str(step)))
        rows[step] = make(replace(config, eval=chosen_on, run=own), places).rates["policy"]
        yield rows[step].lines(f"step {step}")[0]
    best = max(steps, key=lambda step: (rows[step].k / rows[step].n, step))
    write_text(
        places.choice / "curve.json", json.dumps({step: asdict(row) for step, row in rows.items()}, indent=2) + "\n"
    )
    yield f"best on these scenes: step {best}; its rate: pirig eval {places.run} run.checkpoint={places.checkpoints / str(best)}"


def _run_given(config: Config, places: Places, source: Path) -> int:
    given = open_given(config, places, source)
    print("\n".join(given.lines()), flush=True)
    require_simulator(config, places)
    config, places = as_run(config, places, given)
    target = target_of_given(config, places, given) if config.robot.simulated else None
    with held(places.run):
        open_run(config, places)
        measured = _measure_given(config, places, given, target)
    print("\n".join(measured.lines()))
    return 0


def _run_served(config: Config, places: Places) -> int:
    from pirig.evaluation.measured import with_fall

    on_served.require_measurable(config, places)
    require_simulator(config, places)
    config, places = on_served.as_run(config, places)
    target = on_served.target_of_server(config, places)
    print(f"served      {config.eval.server}: contract {places.contract.hash}, from the config", flush=True)
    with held(places.run):
        open_run(config, places)
        set_status(places.run, "eval", "running", server=config.eval.server)
        target.enter(config.run.mode)
        measured = with_fall(on_served.measure(config, places, target), target.folder, target.settings)
        measured.save(target.folder)
        set_status(places.run, "eval", "done", server=config.eval.server)
    print("\n".join(measured.lines()))
    return 0


def _measure_given(config: Config, places: Places, given: Given, target: Target | None) -> Measured:
    gates = {"state_reaches_model": lambda: policy.state_reaches_model(given.pipeline)}
    report = run_gates(gates, config.gates.skip)
    require_good(report, "evaluation")
    set_status(places.run, "eval", "running", checkpoint=str(given.folder))
    if target is None:
        measured, folder = _given_open_loop(config, places, given)
    else:
        from pirig.evaluation.closed_loop import ClosedLoop
        from pirig.evaluation.measured import with_fall

        target.enter(config.run.mode)
        seeds, lengths = demos_of(places)
        measured = ClosedLoop(config, places, given.folder, seeds, lengths, target, given=given).measure()
        measured = with_fall(measured, target.folder, target.settings)
        folder = target.folder
    save(report, folder)
    note(folder, given)
    measured.save(folder)
    set_status(places.run, "eval", "done", checkpoint=str(given.folder))
    return measured


def _given_open_loop(config: Config, places: Places, given: Given) -> tuple[Measured, Path]:
    """On the whole recording: none of its episodes trained it here."""
    from pirig.datasets.in_place import open_folder
    from pirig.datasets.make import require_data_set
    from pirig.evaluation.measured import Measured
    from pirig.evaluation.on_recording import measure

    require_data_set(places)
    served = given.policy(flow_steps=config.eval.flow_steps, batch_size=config.eval.batch_size)
    dataset = open_folder(places.data_set)
    row = measure(served, dataset, [], places, config.train.validation_frames).rows["training"]
    measured = Measured({"held_out": row})  # type: ignore[arg-type]
    return measured, recorded_folder(places.evaluations, Path("-given"), config.eval.flow_steps)


def require_simulator(config: Config, places: Places) -> None:
    """Raises ValueError where the evaluation's simulator needs a GPU that is not here."""
    if config.robot.simulated and config.eval.sim_backend == SimBackend.gpu:
        from pirig.sim.door import implementation

        if missing := implementation(places.contract).missing_scenes():
            raise ValueError(missing)


def make(config: Config, places: Places) -> Measured:
    """Success rates, or of an arm that is not simulated open-loop action errors; saved beside the gates' report.

    Episodes that are on disk for this checkpoint and these settings are not measured again unless run.mode=overwrite.
    Raises ContractError before anything starts where the checkpoint was trained under another contract.
    """
    from pirig.evaluation.measured import with_fall
    from pirig.policies.card import PolicyCard
    from pirig.weights.load import params_folder, require_as_written

    checkpoint = chosen_checkpoint(config, places.run)
    require_own_start(config, places.run)
    require_as_written(params_folder(checkpoint))  # the baselines come first, and take minutes
    trained = Contract.load(checkpoint / ASSETS)
    require_equal(places.contract, trained, our_name="this run", their_name=f"checkpoint {checkpoint}")
    card = PolicyCard.load(checkpoint)
    require_simulator(config, places)
    target = target_of(config, places, checkpoint, card.usual_lengths)
    report = policy.require_served_as_trained(config, checkpoint, card)
    target.enter(config.run.mode)
    save(report, target.folder)
    set_status(places.run, "eval", "running", checkpoint=str(checkpoint))
    measure = _closed_loops if config.robot.simulated else _open_loop
    with recorded(places.run, "eval"), stages.measured(places.run, "eval"):
        measured = measure(config, places, checkpoint, card, target, report)
        measured = with_fall(measured, target.folder, target.settings)
        measured.save(target.folder)
    set_status(places.run, "eval", "done", checkpoint=str(checkpoint))
    return measured


def _closed_loops(
    config: Config, places: Places, checkpoint: Path, card: PolicyCard, target: Target, report: Report
) -> Measured:
    """Of a mix one after the other, each task in its own simulator, with its own step limit and folder."""
    from pirig.evaluation.measured import together

    if not places.sources:
        return _closed_loop("", config, places, checkpoint, card, target, report)
    tasks = {}
    for task, task_config in configs_of(config).items():
        own, demos = replace(places.sources[task], run=places.run), card.of_task(task)
        here = of_task(target, task, task_config, demos)
        tasks[task] = _closed_loop(task, task_config, own, checkpoint, demos, here, report)
    return together(tasks)


def _closed_loop(
    task: str, config: Config, places: Places, checkpoint: Path, card: PolicyCard, target: Target, report: Report
) -> Measured:
    from pirig.evaluation.closed_loop import ClosedLoop

    def same_physics(pool: Pool) -> None:
        """The demos were made on the CPU: a GPU must show what they show, and their actions must succeed there."""
        if config.eval.sim_backend == SimBackend.cpu:
            return
        from pirig.datasets.in_place import open_folder
        from pirig.gates.data import in_simulator
        from pirig.policies.policy import load_pipeline

        pipeline = load_pipeline(checkpoint).of_task(task)
        asked = in_simulator(open_folder(places.data_set), pipeline, pool, config.gates)
        save(Report(report.found | asked.found, report.skipped + asked.skipped), target.folder)
        require_good(asked, "evaluation on a GPU")

    seeds, lengths = scenes_of(config, card), list(card.demo_lengths)
    loop = ClosedLoop(config, places, checkpoint, seeds, lengths, target, before=same_physics, task=task)
    return loop.measure()


def scenes_of(config: Config, card: PolicyCard) -> list[int]:
    """In which the demos were made; [] where they were recorded elsewhere, which is said."""
    if not takes_recording(config):
        return list(card.demo_seeds)
    print(
        f"eval: {config.data.name}: the recording does not say its scenes: no demo is replayed, and whether one of the scenes "
        "measured on is also one of the recording's is not known",
        flush=True,
    )
    return []


def _open_loop(
    config: Config, places: Places, checkpoint: Path, card: PolicyCard, target: Target, report: Report
) -> Measured:
    from pirig.datasets.make import open_data_set
    from pirig.evaluation.on_recording import measure
    from pirig.policies.policy import load_policy

    served = load_policy(checkpoint, flow_steps=config.eval.flow_steps, batch_size=config.eval.batch_size)
    held_out = list(card.held_out_episodes)
    return measure(served, open_data_set(config, places), held_out, places, config.train.validation_frames)
