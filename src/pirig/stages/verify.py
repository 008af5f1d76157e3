"""`pirig verify RUN [DATASET]`: what does the newest checkpoint give, and how fast?

`pirig verify weights.path=FOLDER task=... [key=value]`: the same of a checkpoint that was never trained here, as `pirig eval`
would measure it; where this config has no data set, noise stands for a frame.

Loads it as an evaluation would (a policy that would not act as it was trained is refused), infers on zeros and on a frame of
the data set (of a mix, for each task), and prints shapes, ranges and milliseconds.
DATASET is needed only where the data set is no longer where the run found it. Whether the numbers are good is asked by
`pirig doctor RUN`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pirig.contract import Contract
    from pirig.datasets.lerobot.read import Dataset
    from pirig.policies.policy import Policy


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if all("=" in word and not Path(word).exists() for word in arguments):
        show_given(arguments)
        return 0
    if len(arguments) > 2:
        print(f"pirig verify: expected RUN and perhaps DATASET, got {' '.join(arguments)}", file=sys.stderr)
        return 2
    show(Path(arguments[0]), Path(arguments[1]) if arguments[1:] else None)
    return 0


def show(run: Path, data_set: Path | None = None) -> None:
    """Raises ValueError where there is no checkpoint or data set, ContractError where the data set is another policy's,
    GateError where the checkpoint would not act as it was trained."""
    from pirig.config.load import of_run
    from pirig.config.places import ASSETS, places_of
    from pirig.contract import Contract
    from pirig.evaluation.inference import report
    from pirig.gates.finding import require_good, run_gates
    from pirig.gates.policy import gates
    from pirig.policies.card import PolicyCard
    from pirig.runs.progress import newest_checkpoint

    config, checkpoint = of_run(run, []), newest_checkpoint(run)
    if checkpoint is None:
        raise ValueError(f"{run}: no checkpoint yet; run `pirig train` with run.mode=resume first")
    folders = [data_set] if data_set else [own.data_set for own in places_of(config).of_tasks]
    datasets, trained = [_opened(folder) for folder in folders], Contract.load(checkpoint / ASSETS)
    tasks = [_task_of(trained, dataset) for dataset in datasets]
    policy = _loaded(checkpoint, config.eval.flow_steps)
    asked = gates(policy.pipeline, PolicyCard.load(checkpoint), config)
    require_good(run_gates(asked, config.gates.skip), "inference")
    for task, dataset in zip(tasks, datasets, strict=True):
        if task:
            print(f"task        {task}")
        for line in report(policy.of_task(task), dataset):
            print(line, flush=True)


def _task_of(trained: Contract, dataset: Dataset) -> str:
    """Which of a mix's tasks the data set is of, of a recording of several sentences the first; "" of a policy of one. Raises
    ContractError where it is another policy's."""
    from pirig.contract import require_equal

    alike = [scene for scene in trained.scenes if scene.task and trained.of_task(scene.task) == dataset.contract]
    if not alike:
        require_equal(trained, dataset.contract, our_name="checkpoint", their_name=f"the data set {dataset.folder}")
    return (alike or trained.scenes)[0].task


def show_given(words: list[str]) -> None:
    """Raises ValueError where the words name no weights, or weights of another model."""
    from pirig.config.load import compose
    from pirig.config.places import places_of
    from pirig.datasets.make import open_data_set
    from pirig.evaluation.inference import report, report_alone
    from pirig.evaluation.on_given import open_given
    from pirig.runs.progress import has_data_set
    from pirig.weights.fetch import resolve

    config = compose(words)
    source = resolve(config.weights) if config.weights.path else None
    if source is None:
        raise ValueError("pirig verify: expected a run's folder, or weights.path=FOLDER beside the task and the model")
    places = places_of(config)
    given = open_given(config, places, source)
    print("\n".join(given.lines()), flush=True)
    policy = given.policy(flow_steps=config.eval.flow_steps, batch_size=1).of_task(places.contract.scenes[0].task)
    lines = report(policy, open_data_set(config, places)) if has_data_set(places) else report_alone(policy)
    for line in lines:
        print(line, flush=True)


def _opened(folder: Path) -> Dataset:
    from pirig.datasets.in_place import open_folder

    if not (folder / "meta" / "info.json").is_file():
        raise ValueError(f"{folder}: the run's data set is not there; give its folder: pirig verify RUN DATASET")
    return open_folder(folder)


def _loaded(checkpoint: Path, flow_steps: int) -> Policy:
    import jax

    from pirig.models.layout import param_count
    from pirig.policies.policy import load_policy

    policy = load_policy(checkpoint, flow_steps=flow_steps, batch_size=1)
    config, contract = policy.pipeline.model_config, policy.pipeline.contract
    kind = "pi0.5" if config.pi05 else "pi0"
    print(f"checkpoint  {checkpoint}")
    print(f"model       {kind}, {param_count(config):,} parameters, contract {contract.hash}")
    print(f"device      {jax.devices()[0].device_kind}, {flow_steps} flow steps")
    return policy
