"""What a run and a checkpoint hold, in lines; nothing is judged, and no array is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pirig.config.load import plain_of_run
from pirig.config.places import ASSETS, CHECKPOINTS, EVALUATIONS
from pirig.contract import Contract
from pirig.evaluation.measured import load
from pirig.files.records import read_record
from pirig.policies.card import PolicyCard, has_card
from pirig.runs.progress import read_status, steps_saved


def describer(path: Path) -> Callable[[Path], list[str]] | None:
    """None where `path` is neither a run nor a checkpoint."""
    if (path / "config.yaml").is_file() and (path / "contract.json").is_file():
        return run
    return checkpoint if has_card(path) else None


def run(folder: Path) -> list[str]:
    """Its settings in a few words, how far it came, and every evaluation that is finished."""
    config, status = plain_of_run(folder), read_status(folder)
    groups = ("task", "robot", "camera", "state", "model", "size", "finetune", "weights")
    lines = ["  " + " ".join(f"{name}={config[name]['name']}" for name in groups if "name" in config.get(name, {}))]
    lines += _contract(folder)
    if status:
        lines.append(f"  {status['stage']} {status['state']} at {status['time']}")
    steps = steps_saved(folder)
    lines.append(f"  checkpoints: {', '.join(map(str, steps)) or 'none'} of {config['train']['steps']} steps")
    for evaluation in sorted((folder / EVALUATIONS).glob("step*")):
        measured = load(evaluation)
        if measured is not None:
            lines += [f"  {evaluation.name}", *(f"    {line}" for line in measured.lines())]
    if steps:
        lines += [
            f"  {CHECKPOINTS}/{steps[-1]}",
            *(f"  {line}" for line in checkpoint(folder / CHECKPOINTS / str(steps[-1]))),
        ]
    return lines


def checkpoint(folder: Path) -> list[str]:
    """What a policy is rebuilt with."""
    card = PolicyCard.load(folder)
    model, lengths = card.model, card.demo_lengths
    kind = "pi0.5" if model.pi05 else "pi0"
    lines = [
        f"  {kind}, chunks of {card.horizon} steps, images {model.image.image_px} px, {card.normalization} "
        f"normalisation, {card.tokenizer}",
        *_contract(folder / ASSETS),
    ]
    if lengths:
        lines.append(f"  trained on {len(lengths)} demos of {min(lengths)} to {max(lengths)} steps")
    if (folder / "resume.json").is_file():
        made = read_record(folder / "resume.json", "seconds")
        lines.append(f"  trained for {made['seconds'] / 60:.1f} min")
    return lines


def _contract(folder: Path) -> list[str]:
    try:
        contract = Contract.load(folder)
    except ValueError as error:
        return [f"  contract: {error}"]
    return [f"  contract {contract.hash}: {contract.described}"]
