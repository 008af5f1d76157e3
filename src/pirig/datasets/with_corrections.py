"""A data set and corrections of a policy that was trained on it: its episodes as they are, the corrections behind them."""

from __future__ import annotations

from pathlib import Path

from pirig.config.places import Places
from pirig.contract import Contract, require_equal
from pirig.datasets import from_demos, identity
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.write import CORRECTIONS, USUAL, Form, LeRobotWriter
from pirig.demos.manifest import DemosManifest, episode_file
from pirig.demos.origins import Origins
from pirig.files.identity import Identity
from pirig.files.progress import Progress

KEPT = ("seeds", "lengths", "content_sha256", "tasks")  # of a provenance: the writer's own


def parent_of(places: Places) -> Path:
    """The data set that the corrections in `places.demos` are added to. Raises ValueError where there are none."""
    named = Path(Origins.load(places.demos).parent)
    return named if named.is_absolute() else places.data.parent / named / places.data_set.name


def asked_of(places: Places, *, labels: bool, leave_out_wandering: bool) -> Identity | None:
    """What decides the data set with corrections; None where the corrections, or what they are added to, are gone."""
    if not (places.demos / "manifest.json").is_file() or not parent_of(places).is_dir():
        return None
    chosen = {"labels": labels, "leave_out_wandering": leave_out_wandering}
    added = identity.of_demos(places.demos, places.contract, **chosen)
    if added is None:
        return None
    parent = Dataset(parent_of(places))
    return Identity(
        identity.KIND,
        {"parent": parent.content_hash[:16]},
        {**added.settings, "made by": "corrections"},
        added.parts,
        code=identity.CODE,
        places={"parent": str(parent.folder.resolve()), **added.places},
    )


def convert(places: Places, *, labels: bool, leave_out_wandering: bool, form: Form = USUAL) -> None:
    """Writes `places.data_set`, going on where a killed run stopped; what it is made from stays as it is.

    Raises ValueError (ContractError) before anything is written where they are of another contract, or one is damaged.
    """
    contract, origins = places.contract, Origins.load(places.demos)
    parent = Dataset(parent_of(places))
    require_equal(contract, parent.contract, our_name="this run", their_name=f"data set {parent.folder}")
    require_equal(contract, Contract.load(places.demos), our_name="this run", their_name=f"demos {places.demos}")
    manifest = DemosManifest.load(places.demos)
    seeds = identity.kept_seeds(manifest, leave_out_wandering)
    files = [episode_file(places.demos, seed) for seed in seeds]
    numbers = [from_demos.check_episode(file, contract) for file in files]
    named = from_demos.check_labels(files) if labels else {}
    starts = from_demos.stacked(
        [start or {} for start in parent.starts] + [from_demos.start_of(file) for file in files]
    )
    with (
        LeRobotWriter(places.data_set, contract, form=form) as writer,
        Progress("convert", parent.episode_count + len(files)) as progress,
    ):
        writer.require_space(parent.frame_count + sum(len(actions) for _, actions in numbers))
        for episode in range(parent.episode_count):
            writer.copy_episode(parent, episode)
            progress.advance()
        for seed, file, (state, actions) in zip(seeds, files, numbers, strict=True):
            known = from_demos.labels_of(file, named)
            if not writer.reuse_episode(state, actions, seed=seed, labels=known):
                writer.add_episode(from_demos.images_of(file, contract), state, actions, seed=seed, labels=known)
            progress.advance()
        earlier = parent.provenance.get(CORRECTIONS, [])
        told = {key: value for key, value in parent.provenance.items() if key not in KEPT}
        told |= {"parent": {"content_sha256": parent.content_hash, "folder": parent.folder.parent.name}}
        told[CORRECTIONS] = [*earlier, *map(origins.of, seeds)]
        writer.finish(told, starts=starts)
