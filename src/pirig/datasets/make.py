"""From a config to its data set: demos, the LeRobot folder, its statistics; each is made, completed, or found complete.

What was recorded on a real arm has its pictures already: as demos it is only checked.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pirig.config.keeping import IN_PLACE
from pirig.config.mixes import configs_of
from pirig.config.places import DATA, META, Places
from pirig.config.recorded import takes_recording
from pirig.config.schema import Config, DemosConfig
from pirig.contract import FILE_NAME, Contract, require_equal
from pirig.demos.manifest import FILE_NAME as MANIFEST
from pirig.files.atomic import clear_leftovers, move_aside
from pirig.files.identity import Extends, Identity, IdentityError, Same, load, move_away
from pirig.runs.lock import held_in_turn
from pirig.runs.progress import has_data_set
from pirig.transforms.images import resize_named

JOINTS_ENTRY = "qpos8"  # of the state

if TYPE_CHECKING:
    import numpy as np

    from pirig.datasets.lerobot.read import Dataset
    from pirig.demos.manifest import DemosManifest


def make_demos(config: Config, places: Places) -> Path:
    """The folder of demos that this config asks for; of a mix the one that each task's folder lies in."""
    made = []
    for of_task, own in _each(config, places):
        with alone(own):
            made.append(_make_demos(of_task, own))
    return places.data.parent if places.sources else made[0]


def make_data_set(config: Config, places: Places) -> Path:
    """The LeRobot folder of this config's demos; of a mix the folder that each task's lies in.

    Raises ContractError where one that is there is of another contract.
    """
    made = []
    for of_task, own in _each(config, places):
        with alone(own):
            made.append(_make_data_set(of_task, own))
    return places.data.parent if places.sources else made[0]


def alone(places: Places) -> AbstractContextManager[None]:
    """Two commands that need one data set share it: one makes it, the other waits."""
    return held_in_turn(places.data, lambda: _how_far(places))


def _how_far(places: Places) -> str:
    whole = (places.demos / MANIFEST).is_file()
    demos = "all" if whole else sum(1 for _ in places.demos.glob("episode_*.npz"))
    parts = sum(1 for _ in places.data.glob(f".{places.data_set.name}.parts-*/*.parquet"))
    return f"(so far {demos} demos" + (f", {parts} of them converted)" if parts else ")")


def open_data_set(config: Config, places: Places) -> Dataset:
    """Of a mix, the tasks' own as one. Raises ContractError where one is not what this run agrees on."""
    from pirig.datasets.in_place import open_folder
    from pirig.datasets.joined import Joined

    if places.sources:
        return Joined(places.contract, {task: open_folder(own.data_set) for task, own in places.sources.items()})
    dataset = open_folder(places.data_set)
    require_equal(places.contract, dataset.contract, our_name="this run", their_name=f"data set {dataset.folder}")
    return dataset


def open_frames(dataset: Dataset, image_px: int, places: Places) -> dict[str, np.ndarray]:
    """{role: frames u8 [N, px, px, 3]} at the model's size, from the caches beside the data sets."""
    from pirig.datasets.frame_cache import frame_cache
    from pirig.datasets.joined import Joined, JoinedFrames

    if not isinstance(dataset, Joined):
        with alone(places):
            return frame_cache(dataset, image_px, places.frame_caches)
    parts = [frame_cache(part, image_px, places.sources[task].frame_caches) for task, part in dataset.parts.items()]
    return {role: JoinedFrames([part[role] for part in parts]) for role in dataset.roles}  # type: ignore[misc]


def _each(config: Config, places: Places) -> list[tuple[Config, Places]]:
    return [(task_config, places.sources.get(task, places)) for task, task_config in configs_of(config).items()]


def _given(config: Config, places: Places) -> Path:
    """The data set of `dataset.path`. Raises ValueError where none is there, ContractError where it is another's."""
    from pirig.datasets.in_place import open_folder

    folder = places.data_set
    if not (folder / META / FILE_NAME).is_file():
        raise ValueError(
            f"dataset.path={config.dataset.path}: no data set of pirig's there ({META}/{FILE_NAME}); leave dataset.path out to "
            "make one of demos, or give the folder of one."
        )
    dataset = open_folder(folder)
    require_equal(places.contract, dataset.contract, our_name="this run", their_name=f"data set {folder}")
    print(f"data set: {folder}, as it is: {dataset.episode_count} episodes, {dataset.frame_count} frames")
    return folder


def _make_demos(config: Config, places: Places) -> Path:
    if config.dataset.path:
        return _given(config, places)
    if takes_recording(config):
        return _recorded(config, places)
    if config.demos.corrected:
        return _corrections(places)
    from pirig.demos.door import maker

    contract, folder = places.contract, places.demos
    resize_named(contract.resize)  # a wrong name would be noticed when the frames are decoded, after all demos
    manifest = maker(contract)(contract, config.task, config.demos, folder, Path(config.run.root) / DATA)
    print(
        f"demos: kept {manifest.kept} of {manifest.tried} tried, {min(manifest.lengths)} to {max(manifest.lengths)} steps"
    )
    if (note := wandering(manifest, config.eval.step_margin)) and not config.demos.leave_out_wandering:
        print(note)
    return folder


def _corrections(places: Places) -> Path:
    if not (places.demos / MANIFEST).is_file():
        raise ValueError(
            f"{places.demos}: no corrections there, and only `pirig improve` makes them; run it again, of the run that they "
            "are made for"
        )
    print(f"demos: {places.demos} holds the corrections already")
    return places.demos


def wandering(manifest: DemosManifest, margin: float) -> str | None:
    """What a few much longer demos mean: they are trained on, but the step limit follows the others."""
    from pirig.demos.manifest import longest_usual

    if not (longer := manifest.wandering()):
        return None
    named = ", ".join(f"seed {seed}: {length}" for seed, length in list(longer.items())[:5])
    usual = longest_usual(manifest.lengths)
    return (
        f"demos: note: {len(longer)} of them are much longer than the others, which end within {usual} steps ({named}). The step "
        f"limit of the evaluation follows the others, {math.ceil(margin * usual)} steps; eval.max_steps="
        f"{math.ceil(margin * max(manifest.lengths))} follows the longest."
    )


def _recorded(config: Config, places: Places) -> Path:
    """The recorded data set, after every check that needs no picture; where it has been taken in, no more."""
    from pirig.datasets import from_recording
    from pirig.datasets.recording import open_recording

    contract, folder = places.contract, Path(config.demos.path or "")
    if has_data_set(places) and not isinstance(_relation(config, places), Extends):
        print(f"demos: {folder}, converted already")
        return folder
    source = open_recording(folder, config.demos.leave_out)
    lengths = [recording.episode.length for recording in from_recording.check(source, contract, config)]
    told = ", ".join(repr(scene.prompt) for scene in contract.scenes)
    if config.demos.count not in (DemosConfig.count, len(lengths)):
        print(
            f"demos: demos.count={config.demos.count} is of planned demos; a recording is taken whole, but for demos.leave_out"
        )
    print(f"demos: {len(lengths)} recorded episodes, {min(lengths)} to {max(lengths)} steps, prompt {told}")
    return folder


def _relation(config: Config, places: Places) -> Same | Extends | None:
    """How one task's data set stands to what it is made from; Same where that is gone, None where there is no data set.

    Raises IdentityError where it was made from something else, or changed since.
    """
    from pirig.datasets import as_written, identity

    if not has_data_set(places):
        return None
    as_written.require(places.data_set, places.data)
    if config.dataset.path:
        return Same()
    asked = _asked_of(config, places)
    if asked is not None:
        return identity.relation_to(asked, places, config)
    record, path = load(identity.record_of(places.data_set)), config.demos.path
    made_from = record.places.get("source") if record else None
    if path and made_from and takes_recording(config) and made_from != str(Path(path).resolve()):
        raise IdentityError(
            f"demos.path={path}: it is not there, and {places.data_set} was made from {made_from}; give that path. "
            f"{move_away(places.data_set)}"
        )
    return Same()


def _asked_of(config: Config, places: Places) -> Identity | None:
    """What decides one task's data set; None where nothing can be asked."""
    from pirig.datasets import identity, with_corrections

    if config.demos.corrected:
        return with_corrections.asked_of(places, **_chosen(config))
    return identity.asked_of(config, places)


def _chosen(config: Config) -> dict[str, bool]:
    """Of demos that become episodes."""
    return {"labels": config.demos.labels, "leave_out_wandering": config.demos.leave_out_wandering}


def are_there(places: Places) -> bool:
    """Every data set, with its contract."""
    return all((own.data_set / META / FILE_NAME).is_file() for own in places.of_tasks)


def require_current(config: Config, places: Places, *, may_grow: bool = False) -> None:
    """Nothing is written. Raises ValueError where demos or a data set that are there are not what this config asks for now:
    another contract, other demos, another source; and without `may_grow`, where the source has become more since."""
    for of_task, own in _each(config, places):
        for made, relation in relations(of_task, own).items():
            if isinstance(relation, Extends) and not may_grow:
                raise IdentityError(
                    f"{made} holds {relation.there} of the {relation.asked} that are asked for; `pirig demos`, then `pirig "
                    "convert` with the same settings add the others (the data set that is there is kept beside the new one)."
                )


def is_current(config: Config, places: Places) -> bool:
    """Whether neither demos nor data set lack anything. Raises IdentityError where what is there is something else."""
    return not any(
        isinstance(relation, Extends)
        for of_task, own in _each(config, places)
        for relation in relations(of_task, own).values()
    )


def relations(config: Config, places: Places) -> dict[Path, Same | Extends]:
    """How one task's demos and data set, where they are there, stand to what is asked for."""
    known: dict[Path, Same | Extends] = {}
    if not takes_recording(config) and not config.dataset.path and (relation := _demos_relation(config, places)):
        known[places.demos] = relation
    if are_there(places):
        their_name = f"data set {places.data_set}"
        contract = Contract.load(places.data_set / META)
        require_equal(places.contract, contract, our_name="this run", their_name=their_name)
        if relation := _relation(config, places):
            known[places.data_set] = relation
    return known


def _demos_relation(config: Config, places: Places) -> Same | Extends | None:
    from pirig.demos import door, identity

    if config.demos.corrected or not (places.demos / MANIFEST).is_file():
        return None  # corrections are asked about with the data set that holds them
    asked = door.asked_of(places.contract, config.task, config.demos, places.demos, Path(config.run.root) / DATA)
    return identity.relation_to(asked, places.demos) if asked else None


def _make_data_set(config: Config, places: Places) -> Path:
    from pirig.datasets import identity

    if config.dataset.path:
        return _given(config, places)
    contract, folder = places.contract, places.data_set
    if folder.is_dir():
        require_equal(contract, Contract.load(folder / META), our_name="this run", their_name=str(folder))
    elif not takes_recording(config) and not places.demos.is_dir():
        raise ValueError(f"{places.demos}: no demos there; run `pirig demos` with the same settings first.")
    relation = _relation(config, places)
    asked = _asked_of(config, places) if relation else None
    if asked and (adopted := identity.adopt(asked, places, config)):
        print(f"convert: {folder}: {adopted}")
    if isinstance(relation, Extends):
        aside = move_aside(folder)
        print(
            f"convert: {relation.there} of {relation.asked} episodes were there; they are now in {aside}, which may be deleted"
        )
    elif relation:
        print(
            f"convert: {folder} is there already"
            + (", made from the same episodes" if asked else "; its source is gone")
        )
        return folder
    _convert(config, places)
    return folder


def _convert(config: Config, places: Places) -> None:
    from pirig.datasets import from_demos, from_recording, identity, in_place, with_corrections
    from pirig.datasets.lerobot.write import Form
    from pirig.datasets.recording import open_recording

    clear_leftovers(places.data)
    if config.dataset.format == IN_PLACE:
        asked = _asked_of(config, places)
        assert asked is not None  # the recording is there, or the config would not have been whole
        in_place.make(places, config, asked)
        asked.save(identity.record_of(places.data_set))
        return
    form = Form(config.dataset.format, config.dataset.films)
    if config.demos.corrected:
        with_corrections.convert(places, form=form, **_chosen(config))
    elif not takes_recording(config):
        from_demos.convert(places.demos, places.data_set, places.contract, form=form, **_chosen(config))
    else:
        recording = open_recording(Path(config.demos.path or ""), config.demos.leave_out)
        from_recording.convert(recording, places.data_set, places.contract, config, form)
    asked = _asked_of(config, places)
    assert asked is not None  # or there had been nothing to convert
    asked.save(identity.record_of(places.data_set))


def joints_of_demos(places: Places) -> np.ndarray:
    """Where the arm was in the demos of one task, f32 [N, 9]; of a data set whose demos are gone its state tells.

    Raises ValueError where neither is there.
    """
    import numpy as np

    from pirig.config.state_entries import state_entry
    from pirig.datasets.in_place import open_folder
    from pirig.demos import joints

    if (places.demos / MANIFEST).is_file():
        return joints.joints_of(places.demos)
    if not has_data_set(places) or JOINTS_ENTRY not in places.contract.state:
        raise ValueError(f"{places.demos}: no demos there; run `pirig demos` with the same settings first.")
    dataset, entries = open_folder(places.data_set), places.contract.state
    first = sum(state_entry(name).count for name in entries[: entries.index(JOINTS_ENTRY)])
    state = dataset.state[:, first : first + joints.OF_STATE]
    chosen = [dataset.episode_rows(episode) for episode in joints.episodes_of(dataset.lengths)]
    return np.concatenate([joints.both_fingers(state[rows]) for rows in chosen])


def require_data_set(places: Places) -> None:
    """Raises ValueError where `pirig convert` has not run."""
    if missing := [str(own.data_set) for own in places.of_tasks if not has_data_set(own)]:
        raise ValueError(f"{', '.join(missing)}: no data set there; run `pirig convert` with the same settings first.")
