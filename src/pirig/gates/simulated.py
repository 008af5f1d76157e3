"""Gates that ask the simulator: does it show what the data set shows, and do the data set's actions succeed in it?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pirig.comparison.statistics import Rate
from pirig.datasets.lerobot.read import Dataset
from pirig.evaluation.drivers import DemoDriver, demo_actions
from pirig.evaluation.results import ResultsFile
from pirig.evaluation.rollouts import roll_out
from pirig.evaluation.workers import Pool
from pirig.sim.door import SAME_PIXELS, Observation
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.state import build_state

STATE = 1e-2  # rad, m
ENOUGH, MORE = 0.9, 4  # of replayed demos succeed; how many times as many are asked before it is said that they do not
FILM = 2  # a picture of a film is encoded with its neighbours in view, the simulator's alone: so much farther apart


def first_frame(dataset: Dataset, pool: Pool, episode: int = 0) -> list[str]:
    """The first frame of an episode is what the contract's simulator shows after a reset to its scene, or in the state that
    the episode is recorded to start from."""
    pool.start(0, dataset.seeds[episode], look=True, state=dataset.starts[episode])
    ((_, answer),) = pool.next_ready([0])
    assert answer.observation is not None
    row = dataset.offsets[episode]
    return [*pixels(dataset, answer.observation, row), *_state(dataset, answer.observation, row)]


def pixels(dataset: Dataset, observation: Observation, row: int) -> list[str]:
    """Compares the frame `row` of every camera with an observation, and guesses the reason where they differ."""
    recorded = {role: dataset.image(role, row).astype(np.float32) for role in dataset.roles}
    shown = {role: dataset.as_kept(role, observation.images[role]) for role in dataset.roles}
    rendered = {role: image.astype(np.float32) for role, image in shown.items()}
    unequal = []
    for role, image in recorded.items():
        if image.shape != rendered[role].shape:
            unequal.append(f"{role}: {image.shape} in the data set, {rendered[role].shape} in the simulator")
            continue
        apart = np.abs(image - rendered[role]).mean()
        if apart > SAME_PIXELS * (FILM if dataset.has_films else 1):
            reason = _guess(role, image, rendered)
            unequal.append(f"{role}: the first frame is {apart:.0f} of 255 off the simulator's on average; {reason}")
    return unequal


def _guess(role: str, image: np.ndarray, rendered: dict[str, np.ndarray]) -> str:
    if np.abs(image[..., ::-1] - rendered[role]).mean() < SAME_PIXELS:
        return "its colours are in the order BGR"
    for other, theirs in rendered.items():
        if other != role and theirs.shape == image.shape and np.abs(image - theirs).mean() < SAME_PIXELS:
            return f"it is the picture of {other}: the cameras are swapped"
    if image.max() <= 1 or image.std() < 2:
        return "it shows nothing"
    return "another camera pose, shader, renderer, robot or scene recorded it"


def _state(dataset: Dataset, observation: Observation, row: int) -> list[str]:
    now = build_state(dataset.contract.state, observation.numbers)
    apart = np.abs(now - dataset.state[row])
    if apart.max() <= STATE:
        return []
    worst = int(apart.argmax())
    return [
        f"state number {worst} starts at {dataset.state[row][worst]:.3f} in the data set and at {now[worst]:.3f} in the "
        f"simulator (robot {dataset.contract.robot_uid}): another robot, state recipe or unit recorded it"
    ]


def _replayed(dataset: Dataset, pipeline: Pipeline | None, pool: Pool, count: int) -> Rate:
    succeeded = dataset.succeeded
    chosen = [succeeded[place] for place in np.unique(np.linspace(0, len(succeeded) - 1, count).astype(int))]
    scenes = [dataset.seeds[episode] for episode in chosen]
    actions = {dataset.seeds[episode]: demo_actions(dataset, pipeline, episode) for episode in chosen}
    with tempfile.TemporaryDirectory() as folder:
        results = ResultsFile(Path(folder))
        told: dict[str, Any] = {"max_steps": max(dataset.lengths), "results": results, "starts": dataset.start_of_scene}
        roll_out(pool, DemoDriver(actions), scenes, label="demo replay", **told)
        return results.rate(scenes)


def replay(dataset: Dataset, pipeline: Pipeline | None, pool: Pool, count: int) -> list[str]:
    """The data set's own actions, through the evaluation's path, succeed in the scenes that they were recorded in; of a policy's
    own episodes those that did."""
    if not dataset.succeeded:
        return []
    rate = _replayed(dataset, pipeline, pool, count)
    if 0 < rate.k < ENOUGH * rate.n < ENOUGH * len(dataset.succeeded):
        rate = _replayed(dataset, pipeline, pool, MORE * count)  # some do: a demo that hardly succeeded proves nothing
    if rate.k >= ENOUGH * rate.n:
        return []
    return [
        f"{rate.k} of {rate.n} episodes succeed when their own actions are replayed (expected about all): the actions are "
        "of another control mode, rate, robot or seed, or the episodes are damaged"
    ]
