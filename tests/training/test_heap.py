"""Page faults of a training process are counted in a process of its own, since the setting lasts for ever."""

import subprocess
import sys
from importlib import import_module

import pytest

from pirig.config.load import compose
from pirig.sweeps import gpus
from pirig.training import heap

STEPS = """
import resource, sys
from pirig.training.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import jax, jax.numpy as jnp
step = jax.jit(lambda x: x[:, None] * x[None, :])  # 36 MB, freed when the next step has its own
x = jnp.arange(3000.0)
counts = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
for _ in range(100):
    step(x).block_until_ready()
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
faults = sorted(after - before for before, after in zip(counts, counts[1:]))
print(faults[50])  # the median: the heap finds its size within some tens of steps, and seldom grows later
"""


def test_a_step_finds_the_memory_of_the_one_before():
    faults = {}
    for way in ("plain", "kept"):
        done = subprocess.run([sys.executable, "-c", STEPS, way], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        faults[way] = int(done.stdout)
    assert faults["plain"] > 5000 and faults["kept"] < 100, faults


class Asked(Exception):
    pass


@pytest.mark.parametrize("stage", ["pipeline", "train", "warm_up"])
def test_whoever_trains_sets_its_memory_before_anything_else(stage, tmp_path, monkeypatch):
    def asked():
        assert not list(tmp_path.iterdir())
        raise Asked

    monkeypatch.setattr(gpus, "of_this_machine", lambda environment: [])
    monkeypatch.setattr(heap, "keep_freed_memory", asked)
    # demos that are not there: where the memory is forgotten, the stage ends at once in place of making some
    config = compose(["experiment=quickstart", f"run.root={tmp_path}", "demos.path=not/there.h5"])
    with pytest.raises(Asked):
        import_module(f"pirig.stages.{stage}").run(config)
