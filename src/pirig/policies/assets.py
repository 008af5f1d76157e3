"""What travels with the weights: the statistics, the contract, the tokenizer's file, and the card.

With them a policy is rebuilt without the run's config and without the network.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pirig.config.mixes import JOINT, PER_SOURCE
from pirig.config.places import TOKENIZER_FILE, stats_of_task
from pirig.files.identity import FILE_NAME, Identity
from pirig.policies.card import PolicyCard
from pirig.transforms.normalize import save_norm_stats
from pirig.transforms.pipeline import Pipeline

if TYPE_CHECKING:
    from pirig.datasets.lerobot.read import Dataset


def card_of(pipeline: Pipeline, dataset: Dataset, held_out: Sequence[int] = ()) -> PolicyCard:
    """`held_out`: numbers of the episodes that do not train."""
    return PolicyCard(
        model_plain=json.loads(json.dumps(dataclasses.asdict(pipeline.model_config), default=_plain)),
        normalization=pipeline.normalization,
        state_in_prompt=pipeline.state_in_prompt,
        tokenizer=type(pipeline.tokenizer).__name__,
        relative_to_state=tuple(pipeline.relative_to_state),
        demo_lengths=tuple(int(length) for length in dataset.lengths),
        demo_seeds=tuple(int(seed) for seed in dataset.seeds),
        held_out_episodes=tuple(int(episode) for episode in held_out),
        demo_tasks=tuple(dataset.tasks),
        corrections=len(dataset.corrections),
        norm_stats=PER_SOURCE if pipeline.stats_of else JOINT,
        probe=pipeline.probe(dataset.state[0], dataset.actions[0]),
    )


def asset_writer(pipeline: Pipeline, card: PolicyCard, made: Identity | None = None) -> Callable[[Path], None]:
    """A function that writes the files into a folder. `made`: what the checkpoint is made from."""
    tokenizer_file = getattr(pipeline.tokenizer, "path", None)

    def write(folder: Path) -> None:
        for task, stats in (pipeline.stats_of or {"": pipeline.stats}).items():
            save_norm_stats(stats_of_task(folder, task), stats)
        pipeline.contract.save(folder)
        if tokenizer_file is not None:
            shutil.copyfile(tokenizer_file, folder / TOKENIZER_FILE)
        card.save(folder)
        if made is not None:
            made.save(folder / FILE_NAME)

    return write


def _plain(value: Any) -> str:
    return np.dtype(value).name
