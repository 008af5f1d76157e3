import numpy as np
import pytest

from pirig.config.agreement import contract_of
from pirig.config.load import compose
from pirig.models.pi0 import init_params
from pirig.models.sizes import ModelConfig, TransformerConfig
from pirig.models.towers.siglip import SiglipConfig
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
