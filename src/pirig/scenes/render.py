"""Renders the scenes that a set lacks, by several processes; a killed call goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

from pirig.contract import Contract
from pirig.files.atomic import staging_folder
from pirig.files.progress import Progress
from pirig.files.space import require_space
from pirig.runs.lock import held_in_turn
from pirig.scenes.labelled import (
    GROUP,
    LABELS,
    METRES,
    PLACES,
    SHARD,
    Drawn,
    LabelledScenes,
    claim,
    shard_folder,
    shards_of,
)
from pirig.sim.door import ArrangedSimulator, FurnishedSimulator, Implementation, Simulator, place_of
from pirig.sim.processes import SimulatorProcess
from pirig.transforms.images import resize, resized_places

LEAST_SHARE = 5e-4  # of a camera's pixels, 8 of 128 x 128: a thing that shows less is out of sight
HAND = "tcp_pose"  # of `sense`: where the hand is


def make(contract: Contract, drawn: Drawn, count: int, workers: int, folder: Path) -> LabelledScenes:
    """`count` scenes of one task. Raises ValueError where the simulator cannot place an arm, or the disk is too small."""
    with held_in_turn(folder):
        claim(folder, contract, drawn)
        todo = [number for number in range(shards_of(count)) if not shard_folder(folder, number).is_dir()]
        if todo:
            if len(todo) < shards_of(count):
                print(f"scenes: {folder} holds some; {len(todo) * SHARD} of {count} are rendered", flush=True)
            needed = len(todo) * SHARD * len(contract.cameras) * contract.image_px**2 * 3
            require_space(folder, needed, "labelled scenes need")
            _render(contract, drawn, todo, min(workers, len(todo)), folder)
        return LabelledScenes(folder, count)


def _render(contract: Contract, drawn: Drawn, todo: list[int], workers: int, folder: Path) -> None:
    place = place_of(contract)
    processes = [
        SimulatorProcess(f"scenes-{number}", place, _opened, contract, drawn, folder) for number in range(workers)
    ]
    left = iter(todo)
    running = {}
    try:
        with Progress("scenes", len(todo) * SHARD) as progress:
            for process in processes:
                process.send(next(left))
                running[process.pipe] = process
            while running:
                for pipe in wait(list(running)):
                    process = running[pipe]  # type: ignore[index]
                    process.receive()
                    progress.advance(SHARD)
                    number = next(left, None)
                    if number is None:
                        del running[pipe]  # type: ignore[arg-type]
                    else:
                        process.send(number)
    finally:
        for process in processes:
            process.pipe.close()
        for process in processes:
            process.close()


def _opened(implementation: Implementation, contract: Contract, drawn: Drawn, folder: Path) -> Callable[[int], int]:
    sim = implementation.open(contract)
    if not isinstance(sim, ArrangedSimulator):
        raise ValueError(
            f"simulator {contract.simulator!r} cannot show a scene with its arm elsewhere (`arrange`) and say what is in "
            "sight there (`in_sight`), so it renders no scenes; choose tower.warm_up.steps=0, or give it both (sim/door.py)"
        )
    if drawn.near_demos and not isinstance(sim, FurnishedSimulator):
        raise ValueError(
            f"simulator {contract.simulator!r} cannot put things where a demo had them (`put`, sim/door.py), so it renders no "
            "scenes near demos; choose scenes.near_demos=0"
        )
    return partial(render_shard, sim, drawn, folder)


def render_shard(sim: Simulator, drawn: Drawn, folder: Path, number: int) -> int:
    """Writes shard `number`, returns it. The label of a thing that is out of sight is NaN: what no picture tells is not asked."""
    contract = sim.contract
    images: dict[str, list[np.ndarray]] = {camera.role: [] for camera in contract.cameras}
    labels: dict[str, list[np.ndarray]] = {}
    places: dict[str, list[np.ndarray]] = {}
    for place, scene in enumerate(drawn.shard(number)):
        _arrange(sim, drawn, scene, rebuild=place % GROUP == 0)
        for role, image in sim.observe().images.items():
            images[role].append(resize(image, contract.image_px, contract.resize))
        assert isinstance(sim, ArrangedSimulator)
        shown = sim.in_sight() or {}
        for name, value in sim.labels().items():
            known = shown.get(name, 1.0) >= LEAST_SHARE
            labels.setdefault(name, []).append(np.asarray(value, np.float32) if known else np.full_like(value, np.nan))
        for name, place_of_it in _places(sim, contract, {name: rows[-1] for name, rows in labels.items()}).items():
            places.setdefault(name, []).append(place_of_it)
    with staging_folder(shard_folder(folder, number)) as staging:
        for role, frames in images.items():
            np.save(staging / f"{role}.npy", np.stack(frames))
        np.savez(staging / LABELS, **{name: np.stack(rows) for name, rows in labels.items()})
        np.savez(staging / PLACES, **{name: np.stack(rows) for name, rows in places.items()})
    return number


def _arrange(sim: Simulator, drawn: Drawn, scene: int, *, rebuild: bool) -> None:
    assert isinstance(sim, ArrangedSimulator)
    near = drawn.moment(scene)
    if near is None:
        sim.arrange(scene, drawn.pose(scene), rebuild=rebuild)
        return
    assert isinstance(sim, FurnishedSimulator)
    demo, moment, joints, turned = near
    sim.arrange(demo.scene, joints, rebuild=rebuild)
    hand = sim.sense()[HAND]
    sim.arrange(demo.scene, turned, rebuild=False)
    sim.put(demo.poses(moment, hand, sim.sense()[HAND]))


def _places(sim: ArrangedSimulator, contract: Contract, labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By position label f32 [cameras, 2]: where the pictures of the cameras that stand still have it, in the order of their
    roles' names, once they are resized; NaN for what is not known."""
    cameras = {camera.role: camera for camera in contract.cameras}
    names = [name for name, label in labels.items() if name.endswith(METRES) and len(label) == 3]
    if not names:
        return {}
    found = sim.in_picture(np.stack([labels[name] for name in names]))
    resized = [
        resized_places(
            found[role], (cameras[role].height_px, cameras[role].width_px), contract.image_px, contract.resize
        )
        for role in sorted(found)
    ]
    return dict(zip(names, np.stack(resized, axis=1), strict=True))
