"""What a training is made from, and whether a checkpoint to be resumed was made from the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from pirig.config.places import ASSETS, STATS_FILE, Places, stats_of_task
from pirig.config.schema import Config, WeightsConfig
from pirig.contract import Contract
from pirig.datasets.joined import part_of
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.make_stats import contents_of, folders_of, relation_of
from pirig.datasets.norm_stats import compute, digest_of
from pirig.files import identity
from pirig.files.identity import Identity, IdentityError, Same, digest_of_tree
from pirig.policies.card import PolicyCard, has_card
from pirig.runs.identity import settings_id
from pirig.scenes.labelled import LabelledScenes
from pirig.training.validation import held_out_of
from pirig.training.warmed import content_of
from pirig.transforms.normalize import NormStats, load_norm_stats
from pirig.weights import fetch

KIND = "run"
CODE = 1  # changes where the same data, weights and settings would train another policy
STATS, WEIGHTS, TOWER, EPISODES = "norm stats", "start weights", "tower", "episodes"
SAMPLE_WEIGHTS = "sample weights"
SCENES = "scenes"  # beside the batches; of several tasks the second one's are "scenes 2"


def asked_of(
    config: Config,
    places: Places,
    dataset: Dataset,
    stats: Mapping[str, NormStats],
    warmed: Path | None = None,
    scenes: Sequence[LabelledScenes] = (),
) -> Identity:
    """Of data sets, scenes and weights that are there. A run that is resumed needs the weights, and the folder of a tower that
    was warmed up, no more: then they are left out."""
    made_from = contents_of(places)
    lying = {name: str(folder.resolve()) for name, folder in folders_of(places).items()}
    made_from[STATS] = digest_of(stats)
    if (weights := _local_weights(config.weights)) is not None:
        made_from[WEIGHTS], lying[WEIGHTS] = _digest_of_weights(weights), str(weights)
    if config.train.sample_weights:
        file = Path(config.train.sample_weights)
        made_from[SAMPLE_WEIGHTS], lying[SAMPLE_WEIGHTS] = digest_of_tree(file.parent, {"": file}), str(file)
    if warmed is not None:
        made_from[TOWER], lying[TOWER] = content_of(warmed), str(warmed)
    for number, labelled in enumerate(scenes):
        name = f"{SCENES} {number + 1}" if number else SCENES
        made_from[name], lying[name] = labelled.content(), str(labelled.folder.resolve())
    told = {"settings": settings_id(config), EPISODES: _episodes(dataset.lengths, dataset.seeds)}
    return Identity(KIND, made_from, told, code=CODE, places=lying)


def stats_in_use(config: Config, places: Places, dataset: Dataset) -> dict[str, NormStats]:
    """Those of the episodes that train, flat; nothing is written."""
    held_out = held_out_of(dataset, config.train)
    if not held_out:
        return flat_stats({task: load_norm_stats(file) for task, file in places.statistics.items()})
    by_task = {}
    for task in places.statistics:
        part, left_out = part_of(dataset, task, held_out)
        by_task[task] = compute(part, left_out, relation_of(config))
    return flat_stats(by_task)


def flat_stats(by_task: Mapping[str, Mapping[str, NormStats]]) -> dict[str, NormStats]:
    """{"": {"state": ...}} -> {"state": ...}, {"push_cube": {"state": ...}} -> {"push_cube state": ...}."""
    return {f"{task} {name}".strip(): entry for task, stats in by_task.items() for name, entry in stats.items()}


def _episodes(lengths: object, seeds: object) -> str:
    return identity.digest_of([[int(n) for n in lengths], [int(n) for n in seeds]])  # type: ignore[attr-defined]


def _local_weights(weights: WeightsConfig) -> Path | None:
    """Where they lie already; nothing is fetched."""
    if weights.path and not weights.path.startswith("gs://"):
        folder = Path(weights.path).expanduser()
    elif weights.path or weights.kind:
        folder = fetch.cache_folder() / fetch.address_of(weights.path or weights.name).removeprefix("gs://")
    else:
        return None
    return folder if folder.is_dir() else None


def _digest_of_weights(folder: Path) -> str:
    """Of a fetched checkpoint by the checksums that it was fetched with."""
    record = folder / fetch.RECORD
    if record.is_file():
        return digest_of_tree(folder, {record.name: record})
    params = folder / "params"
    return digest_of_tree(params if params.is_dir() else folder)


def require_same(asked: Identity, checkpoint: Path) -> Identity:
    """What the checkpoint is made from, the start weights included, which need not be there any more.

    Raises IdentityError, with both values of each, where it was made from other data, statistics, settings or weights.
    """
    there = identity.load(checkpoint / ASSETS / identity.FILE_NAME) or _adopted(asked, checkpoint)
    gone = [name for name in (WEIGHTS, TOWER) if (name in asked.made_from) != (name in there.made_from)]
    relation = identity.compare(_without(asked, gone), _without(there, gone))
    if not isinstance(relation, Same):
        raise IdentityError(
            f"{checkpoint} was made from something else than what is there now, so it cannot be resumed:\n  {relation}\nPut back "
            "what it was made from, or start another run (run.name=...), or give run.mode=overwrite, which moves this one aside."
        )
    return dataclasses.replace(
        asked, made_from={**there.made_from, **asked.made_from}, places={**there.places, **asked.places}
    )


def _without(made: Identity, names: list[str]) -> Identity:
    rest = {name: digest for name, digest in made.made_from.items() if name not in names}
    return dataclasses.replace(made, made_from=rest)


def _adopted(asked: Identity, checkpoint: Path) -> Identity:
    """Of a checkpoint without a record: its own statistics and the episodes that its card names; the rest as asked."""
    if not has_card(checkpoint):
        return asked
    card = PolicyCard.load(checkpoint)
    sources = Contract.load(checkpoint / ASSETS).sources
    tasks = {source: stats_of_task(checkpoint / ASSETS, source) for source in sources}
    own = {task: file for task, file in tasks.items() if task and file.is_file()}
    files = own or {"": checkpoint / ASSETS / STATS_FILE}
    stats = flat_stats({task: load_norm_stats(file) for task, file in files.items()})
    made_from = {**asked.made_from, STATS: digest_of(stats)}
    told = {**asked.settings, EPISODES: _episodes(card.demo_lengths, card.demo_seeds)}
    return dataclasses.replace(asked, made_from=made_from, settings=told)
