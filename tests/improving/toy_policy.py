"""A policy of the toy simulator (tests/wishes) that needs no weights: it goes where the picture shows the goal, or not at all."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from pirig.config.load import compose
from pirig.config.places import ASSETS
from pirig.policies.build import model_of
from pirig.policies.card import PolicyCard
from tests.wishes.test_simulator import ASKED

WORDS = ["eval.workers=1", "horizon=4", "eval.execute=2", "eval.max_steps=30", "task.solver=toy", "run.name=one"]


class Goes:
    """Goals on the right are not for it: there it stands still."""

    horizon, noise_shape, batch_size, blends = 4, (4, 8), 4, True

    def __init__(self):
        self.calls = 0

    def infer(self, observations, noise, prompts=None, *, underway=None):
        self.calls += 1
        return np.stack([np.tile(self._direction(shown), (4, 1)) for shown in observations])

    def _direction(self, shown):
        (image,) = shown.images.values()
        row, column = np.unravel_index(image[..., 0].argmax(), image.shape[:2])
        seen_m = (np.array([column, row]) + 0.5) / image.shape[0] * 2 - 1
        return np.clip((seen_m - shown.numbers["tcp_pose"][:2]) / 0.2, -1, 1).astype(np.float32) * (column < 9)


def a_config(root: Path, *words: str):
    return compose([*ASKED, *WORDS, f"run.root={root}", *words])


def a_checkpoint(config, folder: Path) -> Path:
    """With a card and next to nothing for weights."""
    plain = json.loads(json.dumps(dataclasses.asdict(model_of(config, 300)), default=str))
    card = PolicyCard(plain, "zscore", False, "none", demo_lengths=(12, 14), demo_seeds=(0, 1))
    (folder / "params").mkdir(parents=True)
    (folder / "params" / "weights").write_text("w")
    (folder / ASSETS).mkdir(parents=True)
    card.save(folder / ASSETS)
    return folder
