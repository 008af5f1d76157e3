"""Two data sets of one arm, with other keys and other sizes of pictures, and the mix that they make."""

from pathlib import Path

import numpy as np

from tests.datasets.kinova_recordings import write_recording
from tests.datasets.layouts import episodes_of, settings_of

DRAWERS = """data:
  name: drawers
  base: front
  wrist: hand
  state: [qpos]
  actions: [delta]
"""
NAMES = {"image": "front", "wrist_image": "hand", "state": "qpos", "actions": "delta"}


def mix_of_two(tmp_path: Path) -> list[str]:
    """The words of a command that trains on both; what they name is written below `tmp_path`."""
    bowls = write_recording(tmp_path / "bowls", episodes=episodes_of("libero"), **settings_of("libero"))
    others = [{NAMES[key]: values for key, values in one.items()} for one in episodes_of("libero", 5)[3:]]
    for one in others:
        one["front"] = np.ascontiguousarray(one["front"][:, :24])
        one["delta"] = one["delta"] * 0.5
    drawers = write_recording(tmp_path / "drawers", episodes=others, robot="panda", task="close the drawer")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "drawers.yaml").write_text("# @package _global_\n" + DRAWERS)
    (tmp_path / "mix").mkdir()
    text = f"name: two\nsources:\n  bowls: {{weight: 3, path: {bowls}, mapping: libero}}\n"
    text += f"  drawers: {{weight: 1, path: {drawers}, mapping: drawers}}\n"
    (tmp_path / "mix" / "two.yaml").write_text(text)
    sizes = ["size=tiny", "size.image_px=32", "horizon=4", "eval.execute=4"]
    return [f"hydra.searchpath=[file://{tmp_path}]", "data=libero", "mix=two", *sizes, f"run.root={tmp_path / 'out'}"]
