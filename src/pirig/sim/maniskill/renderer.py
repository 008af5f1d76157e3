"""Which Vulkan driver renders, and whether it renders at all."""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OWN_DRIVER = Path(".pirig/vulkan/lvp_icd.json")
REMEDY = "run `bash launchers/vulkan.sh`, or install a Vulkan driver (NVIDIA's, or Mesa 25 or newer)"


@dataclass(frozen=True)
class RendererReport:
    """`mean_pixel` is the mean of a rendered frame in 0..255; `error` is one sentence, empty if `ok`."""

    name: str
    ok: bool
    mean_pixel: float
    error: str = ""


def configure() -> None:
    """Points Vulkan at the driver that `launchers/vulkan.sh` unpacked, unless the caller chose one; call before SAPIEN."""
    project = Path(__file__).resolve().parents[4]
    own = next((root / OWN_DRIVER for root in (Path.cwd(), project) if (root / OWN_DRIVER).is_file()), None)
    if own and not {"VK_ICD_FILENAMES", "VK_DRIVER_FILES"} & set(os.environ):
        os.environ["VK_ICD_FILENAMES"] = os.environ["VK_DRIVER_FILES"] = str(own.resolve())
        driver = json.loads(own.read_text())["ICD"]["library_path"]
        _load(Path(driver), own.resolve().parent)


def _load(library: Path, root: Path) -> None:
    """Loads a library, first those of its dependencies that the system lacks, from below `root`.

    The loader looks for them in the system's folders only; a library that is loaded already is found by its name.
    """
    tried: set[str] = set()
    while True:
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            return
        except OSError as error:
            missing = str(error).split(":")[0]
            beside = next(root.rglob(missing), None)
            if beside is None or missing in tried:
                return  # the probe will say that nothing renders
            tried.add(missing)
            _load(beside, root)


def limit_threads() -> None:
    """One thread per simulator process: several processes share the cores. Call before torch or SAPIEN is imported."""
    for name in ("OMP_NUM_THREADS", "LP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import torch

    torch.set_num_threads(1)


def probe() -> RendererReport:
    """Renders one frame of a lit box. Never raises: the report says what is wrong and what to do."""
    try:
        import sapien

        frame = _frame(sapien)
    except Exception as error:  # SAPIEN raises RuntimeError of many kinds for a missing driver
        return RendererReport("none", False, 0.0, f"SAPIEN cannot render ({error}); {REMEDY}")
    if frame.std() < 1.0:
        return RendererReport("sapien", False, float(frame.mean()), f"the rendered frame is one flat colour; {REMEDY}")
    return RendererReport(os.environ.get("VK_DRIVER_FILES", "the system's Vulkan driver"), True, float(frame.mean()))


def _frame(sapien) -> np.ndarray:
    scene = sapien.Scene()
    scene.set_ambient_light([0.5, 0.5, 0.5])
    scene.add_directional_light([0, 1, -1], [0.5, 0.5, 0.5])
    builder = scene.create_actor_builder()
    builder.add_box_visual(half_size=[0.1, 0.1, 0.1], material=[1.0, 0.2, 0.1])
    builder.build_static(name="box")
    camera = scene.add_camera("probe", 32, 32, fovy=1.0, near=0.1, far=10.0)
    camera.set_entity_pose(sapien.Pose([-1, 0, 0]))
    scene.update_render()
    camera.take_picture()
    return np.asarray(camera.get_picture("Color"))[..., :3] * 255.0
