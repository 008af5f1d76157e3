"""The real openpi's DeltaActions, Normalize and their inverses beside our batches and policy, by way of the exported config."""

import dataclasses
import sys
from types import ModuleType

import numpy as np
import pytest
from tests.weights.test_save import exported, full_config

from pirig.policies.for_openpi import train_config
from pirig.training.batches import BatchSettings, prepare
from tests.real_openpi import import_openpi
from tests.training.conftest import small_pipeline
from tests.training.test_relative_batches import Arm, pipeline_of

pytestmark = pytest.mark.openpi


def pasted(record, contract, monkeypatch):
    """openpi's own TrainConfig from the snippet that `pirig weights export` writes."""
    monkeypatch.setitem(sys.modules, "pasted", ModuleType("pasted"))
    scope = {"__name__": "pasted"}
    text = train_config(dataclasses.replace(exported(full_config(), **record), contract=contract), "arm", "pirig")
    exec(compile(text, "openpi_config.py", "exec"), scope)
    return scope["arm_config"]("FOLDER")


@pytest.mark.parametrize("counts", [(2, -1), ()])
def test_a_sample_of_openpis_is_a_row_of_our_batch_and_its_actions_are_our_policys(counts, monkeypatch):
    openpi, arm = import_openpi(), Arm()
    pipeline = pipeline_of(arm) if counts else dataclasses.replace(small_pipeline(), normalization="quantile")
    group = pasted({"relative_to_state": list(counts)}, pipeline.contract, monkeypatch).data.data_transforms(None)
    kinds = ("mean", "std", "q01", "q99")
    stats = {name: openpi.normalize.NormStats(**{kind: getattr(entry, kind) for kind in kinds})
             for name, entry in pipeline.stats.items()}  # fmt: skip
    ours = prepare(pipeline, arm, arm.frames, BatchSettings(batch_size=4, seed=0)).gather(np.arange(arm.frame_count))
    chunks, states = arm.chunks(range(2))
    for row, (chunk, state) in enumerate(zip(chunks, states, strict=True)):
        data = {
            "image": {"base_0_rgb": arm.frames["base_0_rgb"][row]},
            "state": state,
            "actions": chunk,
            "prompt": "move",
        }
        for transform in (*group.inputs, openpi.transforms.Normalize(stats, use_quantiles=True)):
            data = transform(data)
        np.testing.assert_allclose(ours["actions"][row, :, :3], data["actions"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(ours["state"][row, :3], data["state"], atol=1e-6)
        # what a policy gives: padded chunks and the state as openpi's policy hands them to the outputs
        given = {"state": data["state"], "actions": np.pad(data["actions"], ((0, 0), (0, 1)))}
        for transform in (openpi.transforms.Unnormalize(stats, use_quantiles=True), *group.outputs):
            given = transform(given)
        np.testing.assert_allclose(given["actions"], chunk, atol=1e-6)
        found = pipeline.env_actions(ours["actions"][row : row + 1], state[None])[0]
        np.testing.assert_allclose(found, given["actions"], atol=1e-6)
