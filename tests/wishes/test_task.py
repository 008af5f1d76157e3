"""A task of one's own: one YAML in a folder of one's own, no code. Its labels are found from its scene."""

import subprocess
import sys

import numpy as np

from pirig.datasets.lerobot.read import Dataset
from pirig.demos.manifest import DemosManifest

YAML = """
name: lift_peg_upright
env_id: LiftPegUpright-v1
solver: solveLiftPegUpright
goal_visible: true
prompt: Lift the peg and stand it upright.
"""


def test_one_yaml_adds_a_maniskill_task(tmp_path):
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "conf" / "task" / "lift_peg_upright.yaml").write_text(YAML)
    chosen = ["--config-dir", str(tmp_path / "conf"), "task=lift_peg_upright", f"run.root={tmp_path / 'out'}"]
    small = ["demos.count=1", "demos.workers=1", "camera.resolution_px=32", "demos.labels=true"]
    for verb in ("demos", "convert"):
        command = [sys.executable, "-m", "pirig", verb, *chosen, *small]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    (manifest,) = (tmp_path / "out").rglob("manifest.json")
    assert DemosManifest.load(manifest.parent).kept == 1
    labels = Dataset(manifest.parent.with_name("lerobot")).labels
    assert {name: values.shape[1] for name, values in labels.items()} == {"peg_position_m": 3, "peg_quat_wxyz": 4}
    assert labels["peg_position_m"][-1, 2] > labels["peg_position_m"][0, 2] + 0.05  # it lay, now it stands


def test_sub_goals_of_a_task_of_ones_own_are_found_from_its_scene(tmp_path):
    """They tell when a policy is late: corrections (docs/improving.md) need no line of a table."""
    from pirig.config.agreement import contract_of
    from pirig.config.load import compose
    from pirig.sim.door import open_simulator

    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "lift_peg_upright.yaml").write_text(YAML)
    config = compose([f"hydra.searchpath=[file://{tmp_path}]", "task=lift_peg_upright", "camera.resolution_px=32"])
    sim = open_simulator(contract_of(config))
    sim.reset(3)
    told = sim.step(np.zeros(7, np.float32))
    assert {name: told.flags[name] for name in ("reached", "grasped", "lifted", "placed")} == dict.fromkeys(
        ("reached", "grasped", "lifted", "placed"), False
    )
    assert told.hand_off_m is not None
    sim.close()
