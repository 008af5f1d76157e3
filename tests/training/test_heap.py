"""Page faults of a training process are counted in a process of its own, since the setting lasts for ever."""

import subprocess
import sys

import pytest

STEPS = """
import resource, sys
from pirig.training.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import jax, jax.numpy as jnp
step = jax.jit(lambda x: x[:, None] * x[None, :])  # 36 MB, freed when the next step has its own
x = jnp.arange(3000.0)
for _ in range(30):
    step(x).block_until_ready()  # the heap finds its size
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap")
def test_a_step_finds_the_memory_of_the_one_before():
    faults = {}
    for way in ("plain", "kept"):
        done = subprocess.run([sys.executable, "-c", STEPS, way], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        faults[way] = int(done.stdout)
    assert faults["plain"] > 5000 and faults["kept"] < 0.1 * faults["plain"], faults
