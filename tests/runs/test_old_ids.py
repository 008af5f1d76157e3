"""Runs keep the ids that they had: computed by the version of 2026-11-25 (commit 8868f2d), before any key went or moved.

A sweep finds its points by these ids, so another one would train again what is done.
"""

import pytest

from pirig.config.load import compose
from pirig.runs.identity import run_id

MUGS = ["task=kinova", "demos.path=mugs", "task.prompt=Pick up a mug"]
MUGS += [f"camera.entries.{name}.{side}" for name in ("base", "wrist") for side in ("width_px=64", "height_px=48")]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "80dd7123"),
        (["camera=wrist"], "3371dcee"),
        (["camera=close", "train.seed=3"], "0464bff0"),
        (["task=pick_cube"], "903e6f75"),
        (["task=pick_cube", "state=joints", "camera.show_goal=true"], "f16a5060"),
        (["task=stack_cube", "camera=wrist", "horizon=20", "train.peak_lr=1e-4"], "2f777cdc"),
        (["experiment=quickstart"], "01218825"),
        (["experiment=lab_pi05_wrist", "task=place_sphere"], "d8753ee8"),
        (["experiment=lab_pi0_lora"], "d737e386"),
        (["experiment=from_scratch", "task=pick_cube"], "b69cd825"),
        (
            ["fsdp=8", "fsdp.min_mib=8", "train.batch_size=64", "train.warmup_steps=7", "train.decay_steps=900"],
            "ad99b54b",
        ),
        (["model=pi0", "size=full", "weights=pi0_base"], "5dcebe90"),
        (["horizon.steps=12"], "2b8eca3c"),
        (MUGS, "6b81ea09"),
    ],
)
def test_it_is_the_id_that_it_was(overrides, expected):
    assert run_id(compose(overrides)) == expected
