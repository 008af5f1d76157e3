"""`trainer=openpi` with the real openpi: its scripts/train.py on our batches, and the checkpoint that it leaves."""

import dataclasses
import json

import numpy as np
import pytest

from pirig.config.load import compose
from pirig.config.schema import TrainConfig
from pirig.datasets.lerobot.read import Dataset
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.policies.policy import load_policy
from pirig.training import openpi_trainer
from pirig.transforms.normalize import NormStats
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.tokenizer import BuiltinTokenizer
from tests.datasets.episodes import make_contract, write_dataset
from tests.real_openpi import import_openpi, sized

pytestmark = pytest.mark.openpi
STACK = TransformerConfig(width=32, depth=2, mlp_dim=64, num_heads=2, num_kv_heads=1, head_dim=16)
IMAGE = SiglipConfig(width=32, depth=2, mlp_dim=64, num_heads=2, patch_px=56)


def test_three_steps_and_two_more(tmp_path):
    contract = make_contract(px=224, roles=("base_0_rgb",))
    dataset = Dataset(write_dataset(tmp_path / "lerobot", contract, range(3)))
    model = ModelConfig(True, 8, 4, 48, 512, IMAGE, STACK, STACK)
    stats = {name: NormStats(np.zeros(dim), np.ones(dim), -np.ones(dim), np.ones(dim))
             for name, dim in (("state", contract.state_dim), ("actions", contract.action_dim))}  # fmt: skip
    pipeline = Pipeline(contract, model, "quantile", True, stats, BuiltinTokenizer(48))
    draw = np.random.default_rng(0)
    frames = {"base_0_rgb": draw.integers(0, 256, (dataset.frame_count, 224, 224, 3), dtype=np.uint8)}
    words = ["trainer=openpi", "model=pi05", "size=full", "weights=scratch", "size.tokenizer=builtin"]
    config = compose([*words, "schedule.warmup_steps=1"])
    settings = TrainConfig(steps=3, batch_size=2, log_every=1, save_every=100, ema=0.9)
    folder = tmp_path / "exp" / "run"
    folder.mkdir(parents=True)
    with sized(import_openpi(), model):
        result = openpi_trainer.train(folder, dataclasses.replace(config, train=settings), pipeline, dataset, frames)
        assert result.checkpoint.name == "2" and np.isfinite(result.loss)
        run = dataclasses.replace(config.run, mode="resume")
        more = dataclasses.replace(config, train=dataclasses.replace(settings, steps=5), run=run)
        result = openpi_trainer.train(folder, more, pipeline, dataset, frames)
    assert result.checkpoint.name == "4"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(row["loss"]) and row["grad_norm"] > 0 for row in rows)
    policy = load_policy(result.checkpoint, flow_steps=2, batch_size=1)
    noise = np.ones((1, *policy.noise_shape), np.float32)
    actions = policy.predict({"base_0_rgb": frames["base_0_rgb"][:1]}, dataset.state[:1], noise)
    assert actions.shape == (1, 4, 7) and np.isfinite(actions).all()
