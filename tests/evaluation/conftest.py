import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.models.pi0 import init_params
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
from pirig.policies.policy import Policy
from pirig.sim.door import Observation
from pirig.transforms.normalize import NormStats
from pirig.transforms.pipeline import Pipeline
from pirig.transforms.tokenizer import BuiltinTokenizer


@pytest.fixture(scope="session")
def contract():
    return contract_of(compose(["experiment=quickstart"]))


@pytest.fixture(scope="session")
def pipeline(contract):
    stack = TransformerConfig(width=32, depth=2, mlp_dim=32, num_heads=2, num_kv_heads=1, head_dim=16)
    config = ModelConfig(
        pi05=True,
        action_dim=8,
        action_horizon=8,
        max_token_len=64,
        vocab_size=512,
        image=SiglipConfig(width=32, depth=1, mlp_dim=32, num_heads=2, patch_px=32, image_px=contract.image_px),
        vlm=stack,
        expert=stack,
    )

    def stats(count: int) -> NormStats:
        ones = np.ones(count, np.float32)
        return NormStats(mean=0 * ones, std=ones, q01=-ones, q99=ones)

    both = {"state": stats(contract.state_dim), "actions": stats(contract.action_dim)}
    return Pipeline(contract, config, "quantile", True, both, BuiltinTokenizer(64))


@pytest.fixture(scope="session")
def params(pipeline):
    import jax

    return init_params(jax.random.key(0), pipeline.model_config)


@pytest.fixture(scope="session")
def policy(pipeline, params):
    """Parameters that are not at their start: pi0.5 starts with gates of zero, so that nothing reaches the actions."""
    import jax

    random = np.random.default_rng(0)
    moved = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.05, leaf.shape).astype(np.float32), params)
    return Policy(moved, pipeline, flow_steps=4, batch_size=4)


@pytest.fixture(scope="session")
def observations(contract):
    random = np.random.default_rng(0)
    px = contract.cameras[0].height_px

    def one():
        image = random.integers(0, 256, (px, px, 3)).astype(np.uint8)
        qpos = random.uniform(-1, 1, 9).astype(np.float32)
        return Observation({contract.cameras[0].role: image}, {"qpos": qpos})

    return [one() for _ in range(4)]


@pytest.fixture(scope="session")
def noise(pipeline):
    """For the observations."""
    config = pipeline.model_config
    return np.random.default_rng(1).standard_normal((4, config.action_horizon, config.action_dim)).astype(np.float32)
