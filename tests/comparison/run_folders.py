"""Run folders in the real formats, by the writers of the real stages, without training or simulating anything."""

import copy
import dataclasses
import functools
import json
import random
import shutil
from pathlib import Path

import numpy as np
import yaml

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.config.plain import as_plain
from pirig.evaluation.results import EpisodeResult, ResultsFile, sub_goals
from pirig.gates.finding import Report, save
from pirig.runs.record import set_status

GOALS = ("reached", "grasped", "lifted", "placed")


class RunFolders:
    """`write("one", {"horizon.steps": 20}, policy=(12, 40))` -> the folder of a run of `root`/sweep."""

    def __init__(self, root: Path, task: str = "stack_cube"):
        self.root = root
        self.base = copy.deepcopy(_base(task))
        self.base.run.root = str(root)
        self.videos: dict[str, bytes] = {}

    def write(self, name, settings=None, *, policy=None, steps=120, of_steps=None, state="done", **more) -> Path:
        config = copy.deepcopy(self.base)
        for key, value in {"run.name": name, "train.steps": of_steps or steps, **(settings or {})}.items():
            _set(config, key, value)
        folder = self.root / "sweep" / name
        folder.mkdir(parents=True)
        contract = contract_of(config)
        (folder / "config.yaml").write_text(yaml.safe_dump(as_plain(config), sort_keys=False))
        contract.save(folder)
        environment = {"versions": {"jax": "0.7.1"}, "python": "3.11.7", "code": {"commit": "c" * 40, "changed": ""}}
        (folder / "environment.json").write_text(json.dumps(environment))
        set_status(folder, "eval" if policy else "train", state)
        (folder / "metrics.jsonl").write_text(_metrics_text(steps, config.train.seed % 8))
        if policy:
            self.evaluate(folder, config, policy, **more)
        self.config, self.contract = config, contract
        return folder

    def evaluate(
        self, folder, config, policy, *, skipped=(), finished=True, videos=False, untrained=(0, 40), oracle=(20, 20)
    ):
        target = folder / "eval" / f"step{config.train.steps}-abc123"
        target.mkdir(parents=True, exist_ok=True)
        settings = {"checkpoint": str(folder / "checkpoints" / str(config.train.steps)), "limit": 120}
        settings |= {"train_seed": config.train.seed, "first_seed": 100000, "execute": config.eval.execute}
        (target / "settings.json").write_text(json.dumps(settings))
        save(Report({"chunk": []}, list(skipped)), target)
        rates = {}
        for row, (k, n) in {"policy": policy, "untrained": untrained, "oracle": oracle}.items():
            results = ResultsFile(target / row)
            seeds = list(range(100000, 100000 + n))
            _add(results, seeds, k)
            found = results.results(seeds)
            rates[row] = {**dataclasses.asdict(results.rate(seeds)), "sub_goals": sub_goals(found), "mean_steps": 90.5}
            rates[row] |= {"max_steps": 120, "first_seed": 100000, "gates_skipped": list(skipped)}
            if videos:
                self.film(
                    target / row / "videos",
                    [result for result in found if result.success][:1],
                    [result for result in found if not result.success][-1:],
                )
        if finished:
            (target / "rates.json").write_text(json.dumps(rates))

    def film(self, folder, won, lost):
        from PIL import Image

        from pirig.evaluation.videos import write_video

        folder.mkdir(parents=True)
        for outcome, results in (("success", won), ("failure", lost)):
            for result in results:
                path = folder / f"{outcome}-seed{result.scene}.mp4"
                if outcome not in self.videos:
                    frames = [np.full((64, 64, 3), 12 * one, np.uint8) for one in range(20)]
                    write_video(path, frames, 10)
                    self.videos[outcome] = path.read_bytes()
                path.write_bytes(self.videos[outcome])
        Image.fromarray(np.zeros((40, 320, 3), np.uint8)).save(folder / "sheet.png")

    def copy(self, folder, name, settings):
        """Another run like that one, much faster than writing it."""
        target = folder.with_name(name)
        shutil.copytree(folder, target)
        plain = yaml.load((target / "config.yaml").read_text(), yaml.CSafeLoader)
        for key, value in {"run.name": name, **settings}.items():
            group, last = key.split(".")
            plain[group][last] = value
        (target / "config.yaml").write_text(yaml.dump(plain, Dumper=yaml.CSafeDumper, sort_keys=False))

    def data_set(self):
        """The data set of the run written last."""
        meta = places_of(self.config, self.contract).data_set / "meta"
        (meta / "pirig").mkdir(parents=True, exist_ok=True)
        (meta / "info.json").write_text(json.dumps({"total_episodes": 64, "total_frames": 5000, "fps": 20}))
        provenance = {"lengths": [61, 80], "seeds": [0, 66], "left_out": 3, "source": "motion planner"}
        (meta / "pirig" / "provenance.json").write_text(json.dumps(provenance))


@functools.cache
def _base(task):
    groups = [f"task={task}", "camera=wrist", "weights=scratch", "size=tiny"]
    return compose([*groups, "run.experiment=sweep", "run.name=base", "train.steps=120"])


def metrics(steps, seed):
    noise = random.Random(seed)
    for step in range(1, steps + 1):
        loss = 2.0 / step**0.6 * (1 + 0.1 * noise.random())
        row = {
            "step": step,
            "loss": loss,
            "grad_norm": 1 + noise.random(),
            "param_norm": 97.1,
            "lr": 1e-3 * step / steps,
        }
        row |= {"samples_per_s": 80.0, "step_s": 0.8, "loader_s": 1e-4, "loader_share": 1e-4, "elapsed_s": 0.8 * step}
        yield row


@functools.cache
def _metrics_text(steps, seed):
    return "".join(json.dumps(row) + "\n" for row in metrics(steps, seed))


def _add(results, seeds, k):
    """The first k succeed; the others reach the earlier sub-goals more often than the later ones."""
    for place, seed in enumerate(seeds):
        won = place < k
        flags = {name: won or place % 8 < 6 - 2 * rank for rank, name in enumerate(GOALS)}
        results.done[seed] = EpisodeResult(seed, won, won, 50 if won else -1, 60 if won else 120, 2.0, flags)
    lines = [results.done[seed].to_line() + "\n" for seed in seeds]
    results.path.write_text("".join(lines))


def _set(config, key, value):
    *parents, last = key.split(".")
    for name in parents:
        config = getattr(config, name)
    assert hasattr(config, last), key
    setattr(config, last, value)
