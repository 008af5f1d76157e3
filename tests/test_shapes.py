"""A wrong shape is caught in every test: jaxtyping's import hook checks what the annotations say."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from pirig.models import pi0
from pirig.models.waves import waves
from pirig.training.augment import jitter
from pirig.transforms.pad import pad_last
from pirig.transforms.relative import absolute


def test_a_good_shape_passes():
    assert waves(5, 4).shape == (5, 4) and pad_last(np.zeros((2, 3)), 8).shape == (2, 8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pad_last(np.zeros((2, 3), int), 8),
        lambda: absolute(np.zeros((2, 5, 3)), np.zeros((4, 3)), np.ones(3, bool)),
        lambda: jitter(jax.random.key(0), jnp.zeros((2, 8, 8, 4))),
        lambda: jitter(jax.random.key(0), jnp.zeros((2, 8, 8, 3), jnp.uint8)),
        lambda: pi0.time_embedding(jnp.zeros(3), 8),
        lambda: jax.jit(lambda x: pi0.time_embedding(x, 8))(jnp.zeros((3, 2, 1))),
    ],
)
def test_a_wrong_shape_or_type_is_caught(call):
    with pytest.raises(TypeCheckError):
        call()


def test_chunks_and_their_noise_must_agree():
    """Told before the model is asked: the batch of the noise is another."""
    with pytest.raises(TypeCheckError, match="flow_time"):
        pi0.compute_loss({}, None, None, jnp.zeros((2, 4, 8)), noise=jnp.zeros((2, 4, 8)), flow_time=jnp.zeros(3))


def test_the_config_imports_neither_jaxtyping_nor_jax():
    asked = "print('jax' in sys.modules, 'jaxtyping' in sys.modules)"
    code = f"import sys, pirig.cli; from pirig.config.load import compose; compose([]); {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
