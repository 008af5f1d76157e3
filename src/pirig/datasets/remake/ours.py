"""What pirig keeps beside a data set (contract, provenance, starts), carried into one that is made from others.

Where the result is no longer what a contract can say (a renamed state, a cropped view of a simulator's camera), it has none and
is anybody's data set; the reason is said.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pirig.config.places import META
from pirig.contract import FILE_NAME, RECORDED, Camera, Contract, ContractError, TaskScene, differences
from pirig.datasets import as_written
from pirig.datasets.lerobot.format import ACTION_KEY, STATE_KEY, image_key
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.lerobot.write import PROVENANCE, STARTS, prompts
from pirig.datasets.remake.plan import Plan, digest_text
from pirig.foreign.ours import read_provenance

IMAGES = image_key("")


@dataclass(frozen=True)
class Beside:
    """What lies beside one source. `starts`: its arrays by name, {} where there are none."""

    folder: Path
    contract: Contract
    provenance: dict[str, Any]
    starts: dict[str, np.ndarray]

    @staticmethod
    def of(source: LeRobotSource) -> Beside | None:
        """None of a data set that pirig did not make. Raises ValueError where it says otherwise than meta/ of its episodes."""
        meta = source.folder / META
        if not (meta / FILE_NAME).is_file():
            return None
        provenance = read_provenance(meta / PROVENANCE)
        as_written.require(source.folder, takes_in=False)
        lengths = [episode.length for episode in source.episodes]
        if provenance["lengths"] != lengths:
            raise ValueError(
                f"{meta / PROVENANCE}: lengths {provenance['lengths'][:6]}, {source.meta.episodes_file.name} has {lengths[:6]}; "
                "expected the same in both; copy the data set again."
            )
        starts = {}
        if (meta / STARTS).is_file():
            with np.load(meta / STARTS) as arrays:
                starts = {name: arrays[name] for name in arrays.files}
        return Beside(source.folder, Contract.load(meta), provenance, starts)

    def task(self, place: int) -> str:
        return self.provenance["tasks"][place] if len(self.contract.scenes) > 1 else self.contract.scenes[0].task


class Carried:
    """Of a plan: `contract` of the result, None with `why_not` where it has none. `verb`: what was done, for the record.

    Raises ContractError where the sources' contracts differ in more than their tasks, ValueError for a scene that is in two.
    """

    def __init__(self, plan: Plan, verb: str) -> None:
        self.plan, self.verb, self.contract, self.why_not = plan, verb, None, ""
        known = {id(source): Beside.of(source) for source in plan.sources}
        none = [source.folder for source in plan.sources if known[id(source)] is None]
        if none:
            self.why_not = "" if len(none) == len(plan.sources) else f"{none[0]} has no contract"
            return
        self._beside: dict[int, Beside] = {key: one for key, one in known.items() if one is not None}
        first = self._beside[id(plan.first)]
        for other in self._beside.values():
            _require_alike(first, other)
        self._names = self._named_tasks()
        self._require_new_scenes()
        self._require_prompts()
        self.contract, self.why_not = _edited(self._merged(first.contract), plan)

    def _named_tasks(self) -> dict[tuple[TaskScene, ...], str]:
        """The name of each scene that the result has: as it is where it has one, else after its environment."""
        scenes = dict.fromkeys(self._scene(one) for one in self._places)
        if len(scenes) == 1:
            return {(next(iter(scenes)),): ""}
        names: dict[tuple[TaskScene, ...], str] = {}
        for scene in scenes:
            name = scene.task or _snake(scene.env_id) or "task"
            taken, number = set(names.values()), 2
            while name in taken:
                name, number = f"{name.rstrip('0123456789_')}_{number}", number + 1
            names[(scene,)] = name
        return names

    @cached_property
    def _places(self) -> list[tuple[Beside, int]]:
        """Of each chosen episode: its source, and its place there."""
        order = {
            id(source): {episode.index: place for place, episode in enumerate(source.episodes)}
            for source in self.plan.sources
        }
        return [(self._beside[id(one.source)], order[id(one.source)][one.episode.index]) for one in self.plan.chosen]

    def _scene(self, one: tuple[Beside, int]) -> TaskScene:
        beside, place = one
        task = beside.task(place)
        return next(scene for scene in beside.contract.scenes if scene.task == task)

    def _merged(self, contract: Contract) -> Contract:
        scenes = tuple(dataclasses.replace(scene, task=name) for (scene,), name in self._names.items())
        return dataclasses.replace(contract, scenes=scenes)

    def _require_new_scenes(self) -> None:
        """No scene of a simulator twice: a policy would be asked on what it has seen, and count it twice."""
        seen: dict[tuple[str, int], Path] = {}
        for beside, place in self._places:
            if beside.contract.simulator == RECORDED:
                continue
            key = self._scene((beside, place)).env_id, int(beside.provenance["seeds"][place])
            if key in seen:
                raise ValueError(
                    f"{seen[key]} and {beside.folder}: both hold scene {key[1]} of {key[0]}; expected each scene once; "
                    "leave it out of one of them (pirig dataset filter --leave-out)."
                )
            seen[key] = beside.folder

    def _require_prompts(self) -> None:
        """Raises ValueError where rows are labelled with another sentence than their scene's."""
        told = {scene.prompt for (scene,) in self._names}
        odd = [sentence for sentence in self.plan.used_tasks if sentence not in told]
        if odd:
            raise ValueError(
                f"{self.plan.first.folder}: episodes are labelled {odd[0]!r}, the contract says {' and '.join(map(repr, told))}; "
                "expected the same sentence in both; copy the data set again."
            )

    @property
    def tasks(self) -> list[str] | None:
        """The table of sentences that the contract asks for; None: the plan's."""
        return prompts(self.contract) if self.contract and not self.plan.is_exact else None

    def save(self, staging: Path) -> None:
        """Writes meta/pirig of the result. Of one that is exactly its source, all that lies there is copied."""
        if self.contract is None:
            return
        if self.plan.is_exact:
            shutil.copytree(self.plan.first.folder / META, staging / META)
            return
        meta = staging / META
        meta.mkdir(parents=True)
        self.contract.save(meta)
        (meta / PROVENANCE).write_text(json.dumps(self._provenance(), indent=2, sort_keys=True) + "\n")
        starts = self._starts()
        if starts:
            np.savez(meta / STARTS, **starts)

    def _provenance(self) -> dict[str, Any]:
        assert self.contract is not None
        sources = list(self._beside.values())
        digests = {beside.folder: str(beside.provenance["content_sha256"]) for beside in sources}
        tried = sum(int(beside.provenance.get("tried", len(beside.provenance["seeds"]))) for beside in sources)
        scenes = [beside.provenance["scenes"] for beside in sources if beside.provenance.get("scenes")]
        recorded = self.contract.simulator == RECORDED and len(sources) > 1
        seeds = [beside.provenance["seeds"][place] for beside, place in self._places]
        record = {
            "source": f"pirig dataset {self.verb}: {', '.join(beside.folder.name for beside in sources)}",
            "made_from": {str(beside.folder): digests[beside.folder][:16] for beside in sources},
            "kept": len(seeds),
            "tried": tried,
            "left_out": tried - len(seeds),
            "seeds": list(range(len(seeds))) if recorded else seeds,
            "lengths": [one.episode.length for one in self.plan.chosen],
            "content_sha256": hashlib.sha256(digest_text(self.plan, digests).encode()).hexdigest(),
        }
        if len(scenes) == len(sources):
            record["scenes"] = [min(first for first, _ in scenes), max(last for _, last in scenes)]
        if len(self.contract.scenes) > 1:
            record["tasks"] = [self._names[(self._scene(one),)] for one in self._places]
        return record

    def _starts(self) -> dict[str, np.ndarray]:
        """Rows of NaN for episodes of a source that has none."""
        widths = {name: rows.shape[1] for beside in self._beside.values() for name, rows in beside.starts.items()}
        return {
            name: np.stack(
                [beside.starts[name][place] if name in beside.starts else np.full(width, np.nan, np.float32)
                 for beside, place in self._places]
            )
            for name, width in widths.items()
        }  # fmt: skip


def _require_alike(first: Beside, other: Beside) -> None:
    unequal = differences(first.contract, dataclasses.replace(other.contract, scenes=first.contract.scenes))
    if unequal:
        raise ContractError(
            f"{first.folder} and {other.folder} are of two contracts:\n  "
            + "\n  ".join(unequal)
            + "\nExpected data of one robot, control, state and cameras; leave one of them out, or make it again with the "
            "other's settings."
        )


def _snake(env_id: str) -> str:
    """PushCube-v1 -> push_cube."""
    name = re.sub(r"-v\d+$", "", env_id)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")


def _edited(contract: Contract, plan: Plan) -> tuple[Contract | None, str]:
    """The contract after the plan's edit, or None and why there is none."""
    renamed, dropped = plan.edit.renamed, plan.edit.dropped
    for key in (STATE_KEY, ACTION_KEY):
        if key in renamed or key in dropped:
            return None, f"{key} {'is called ' + renamed[key] if key in renamed else 'was dropped'}"
    cameras: list[Camera] = []
    for camera in contract.cameras:
        key = image_key(camera.role)
        new = renamed.get(key, key)
        if key in dropped:
            continue
        if not new.startswith(IMAGES):
            return None, f"{key} is called {new}, and cameras are found by {image_key('ROLE')}"
        if key in plan.edit.crops:
            if contract.simulator != RECORDED:
                return None, f"{key} was cropped, and no simulator shows that view"
            box = plan.edit.crops[key]
            camera = dataclasses.replace(camera, width_px=box.width, height_px=box.height)
        cameras.append(dataclasses.replace(camera, role=new.removeprefix(IMAGES)))
    if not cameras:
        return None, "it has no camera"
    return dataclasses.replace(contract, cameras=tuple(cameras)), ""
