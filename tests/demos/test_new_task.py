"""A newcomer's task: one YAML in a folder of their own, no code."""

import subprocess
import sys

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
    command = [sys.executable, "-m", "pirig", "demos", "--config-dir", str(tmp_path / "conf"), "task=lift_peg_upright"]
    more = ["demos.count=1", "demos.workers=1", "camera.resolution_px=32", f"run.root={tmp_path / 'out'}"]
    done = subprocess.run([*command, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (manifest,) = (tmp_path / "out").rglob("manifest.json")
    assert DemosManifest.load(manifest.parent).kept == 1
