"""Stands in for training: leaves a checkpoint at once. Seed 13 fails, seed 98 takes seconds, seed 99 minutes."""

import json
import os
import sys
import time
from types import SimpleNamespace

from pirig.config.places import ASSETS
from pirig.files.atomic import write_text
from pirig.policies.card import PolicyCard
from pirig.runs.record import set_status

MARK = "as submitted"


def make(config, places):
    folder = places.run
    seen = {name: value for name, value in os.environ.items() if name.startswith(("SLURM_", "CUDA_"))}
    made = {
        "mark": MARK,
        "code": __file__,
        "time": time.time(),
        "data": places.data_set.is_dir(),
        "environment": seen,
    }
    if os.environ.get("SLURM_PROCID", "0") == "0":
        write_text(folder / "made.json", json.dumps(made))
    if config.train.seed == 13:
        raise ValueError("seed 13 brings bad luck")
    if config.train.seed == 98:
        time.sleep(5)
    if config.train.seed == 99:
        time.sleep(300)
    checkpoint = folder / "checkpoints" / str(config.train.steps)
    (checkpoint / ASSETS).mkdir(parents=True, exist_ok=True)
    card = PolicyCard({"action_horizon": config.horizon.steps}, "quantile", True, "none", demo_lengths=(10, 12))
    card.save(checkpoint / ASSETS)
    write_text(checkpoint / "resume.json", json.dumps({"step": config.train.steps, "seconds": 1.0}))
    rows = ({"step": step, "loss": 1 / step, "step_s": 0.01} for step in range(1, 11))
    write_text(folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    set_status(folder, "train", "done")
    print("trained", file=sys.stderr)
    return SimpleNamespace(steps=config.train.steps, stopped="")


def run(config):
    raise AssertionError("jobs call make")
