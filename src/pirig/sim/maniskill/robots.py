"""The wrist-camera Panda without the 21 MB mesh of its camera, which no camera sees and every frame pays for."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from pathlib import Path

from pirig.files.atomic import write_text

CAMERA_VISUAL = re.compile(r"<visual>(?:(?!</visual>).)*d415\.stl(?:(?!</visual>).)*</visual>", re.DOTALL)


def strip_wrist_camera_mesh() -> None:
    """Makes `panda_wristcam` load a copy of its URDF without the d415 visual; physics and cameras stay as they are."""
    from mani_skill.agents.robots.panda.panda_wristcam import PandaWristCam

    source = Path(PandaWristCam.urdf_path)
    if "pirig-" in source.parent.name:
        return
    text = source.read_text()
    stripped, count = CAMERA_VISUAL.subn("", text)
    if count != 1:
        raise ValueError(f"{source}: expected one visual of d415.stl, found {count}; this ManiSkill is not 3.0.1")
    folder = Path(tempfile.gettempdir()) / f"pirig-{hashlib.sha256(f'{source}{stripped}'.encode()).hexdigest()[:12]}"
    for path, content in ((folder / source.name, stripped), (folder / f"{source.stem}.srdf", _srdf(source))):
        if not path.is_file():
            write_text(path, content)
    for meshes in ("franka_description", "realsense2_description"):  # the URDF names its meshes relative to itself
        if not (folder / meshes).exists():
            with contextlib.suppress(FileExistsError):
                (folder / meshes).symlink_to(source.parent / meshes)
    PandaWristCam.urdf_path = str(folder / source.name)


def _srdf(urdf: Path) -> str:
    return urdf.with_suffix(".srdf").read_text()
