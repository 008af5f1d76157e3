"""How XLA compiles in tests that compile much and compute little."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def unoptimised():
    """Most of XLA's optimisations are off, for conftest.py to import: the numbers stay within
    the tolerances, in less than half the time.
    What trains and acts in the other tests is compiled as for users."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
