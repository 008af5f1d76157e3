"""`pirig improve RUN [improve=NAME] [key=value ...]`: what an evaluated policy teaches goes back to training.

  pirig improve RUN                              a round of corrections: the policy is rolled out on scenes of its own; where it
                                                 lost its way the planner solves from there; a child run trains on from the
                                                 checkpoint, on the data set with the corrections behind
  pirig improve RUN improve=corrections improve.rounds=3      again with the child, three times in all
  pirig improve RUN improve=calql                a critic learns from demos and roll-outs, failures included, chooses chunks
  pirig improve RUN improve=calql improve.use=weighted        a child trains on demos, weighted by what the critic says of them
  pirig improve RUN improve=calql improve.use=residual        a small head moves the frozen policy's chunks; fql: acts in one step
  pirig improve RUN improve.scenes=60 improve.steps=500       fewer roll-outs a round (200), fewer steps (1000)
  pirig improve RUN improve.corrections.share=0               corrections are drawn as the other frames are (0.2 of the samples)
  pirig improve RUN improve.corrections.late=1.5              a sub-goal is late after 1.5 times the slowest demo's time (1.2)
  pirig improve RUN eval.episodes=100                         base, child and control on more held-out scenes
  pirig improve RUN run.checkpoint=RUN/checkpoints/500        another checkpoint than the newest
  pirig improve RUN schedule.peak_lr=1e-4                     the children's learning rate; it begins anew each round

Beside each child a control makes the same extra steps without what the method made, so that the gain is not the steps'. Base,
child and control are measured on held-out scenes (`eval.first_seed`), never on those of the roll-outs, with Wilson intervals
and Fisher's exact test; RUN/improve/NAME-.../results.json has all of it. Children lie beside RUN, `pirig compare` names their
parent and round. Several improvements of one run are shown in one table too. The same command goes on where it was stopped.
docs/improving.md: what it does, when not to use it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pirig.comparison.success import SuccessRow
    from pirig.config.schema import Config
    from pirig.improving.door import Policy
    from pirig.improving.lineage import Lineage


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    from pirig.config.arguments import run_of
    from pirig.config.load import of_run

    folder, words = run_of("improve", arguments)
    show(make(of_run(folder, words)))
    return 0


def make(config: Config) -> dict[str, Any]:
    """All rounds; what `results.json` holds. Raises ValueError before anything starts where this run cannot be improved here."""
    from pirig.gates.machine import require_driver, require_platforms
    from pirig.improving.door import method_named
    from pirig.improving.rounds import Improvement, Stages, child_of
    from pirig.runs.lock import held
    from pirig.stages import train
    from pirig.stages.entry import set_memory

    set_memory(config)
    method, base = method_named(config.improve.name), policy_of(config)
    method.require(base)
    require_platforms()
    train.check_parts(child_of(config, base.checkpoint, config.improve.steps))
    require_driver()
    with held(base.places.run):
        improvement = Improvement(method, base, Stages(_train, _measure))
        result = improvement.run()
        return result | {"file": str(improvement.folder / "results.json")}


def policy_of(config: Config) -> Policy:
    """The checkpoint that is improved. Raises ValueError where the run is not trained to its end."""
    from pirig.config.places import places_of
    from pirig.evaluation.target import digest_of
    from pirig.improving.door import Policy
    from pirig.policies.card import PolicyCard
    from pirig.runs.progress import chosen_checkpoint, is_trained, saved_step

    places = places_of(config)
    if not config.run.checkpoint and not is_trained(config, places):
        raise ValueError(
            f"{places.run}: trained {saved_step(places.run)} of {config.train.steps} steps, and only a trained policy is "
            "improved; finish it with `pirig train` and run.mode=resume, or give run.checkpoint=FOLDER."
        )
    checkpoint = chosen_checkpoint(config, places.run).absolute()
    PolicyCard.load(checkpoint)
    return Policy(config, checkpoint, digest_of(checkpoint))


def _train(config: Config, lineage: Lineage) -> Path:
    """A child's run, entered, gone on with and finished; found where it is."""
    from pirig.config.places import places_of
    from pirig.runs.progress import is_trained, newest_checkpoint
    from pirig.stages import train
    from pirig.stages.entry import entered

    places = places_of(config)
    if is_trained(config, places):
        print(f"{places.run} is trained already", flush=True)
    else:
        with entered(config, places, first=True):
            lineage.save(places.run)
            result = train.make(config, places)
        if result.stopped:
            raise KeyboardInterrupt(result.stopped)
    checkpoint = newest_checkpoint(places.run)
    assert checkpoint is not None
    return checkpoint.absolute()


def _measure(config: Config) -> SuccessRow:
    """The policy's rate on held-out scenes; episodes that are there are not run again."""
    from pirig.config.places import places_of
    from pirig.config.schema import Mode
    from pirig.evaluation.measured import load
    from pirig.evaluation.target import evaluation_folder, is_measured
    from pirig.runs.lock import held
    from pirig.stages import eval

    places = places_of(config)
    folder = evaluation_folder(config, places)
    if folder is not None and is_measured(config, places) and (measured := load(folder)) is not None:
        return measured.rates["policy"]
    with held(places.run):
        run = dataclasses.replace(config.run, mode=Mode.resume)
        return eval.make(dataclasses.replace(config, run=run), places).rates["policy"]


def show(result: dict[str, Any]) -> None:
    from pirig.files import tables
    from pirig.files.console import console
    from pirig.improving.compared import of_run
    from pirig.improving.table import NOTE, columns, columns_of_all, lines

    for line in lines(result):
        print(line)
    first, last = result["held_out"]
    title = f"{result['method']} of {result['parent']}: held-out scenes {first} to {last}, Wilson 95 % interval"
    tables.show(console(), columns(result), title, f"{result['file']} has them")
    for compared in of_run(Path(result["file"]).parent.parent.parent):
        if len({line.improvement for line in compared.lines}) > 2:  # the base is of none
            tables.show(console(), columns_of_all(compared), f"all improvements of {compared.parent}")
            print(NOTE)
    print(f"results      {result['file']}")
    for told in result["rounds"]:
        for arm, run in told["runs"].items():
            print(f"round {told['round']:<6} {arm:10} {run}")
