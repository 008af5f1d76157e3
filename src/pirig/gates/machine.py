"""Can this machine plan, render and train? Each answer is whether it is good, and a line that says what to do if not.

A driver that is broken may end the process that asks it, so JAX and the renderer are asked in processes of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

PROBE_S = 180.0  # a first import on a slow disk takes a minute
BACKEND = "import jax; print(jax.__version__, 'on', jax.devices())"
RENDERER = (
    "from pirig.contract import MANISKILL; from pirig.sim.door import IMPLEMENTATIONS, implementation_at\n"
    "good, text = implementation_at(IMPLEMENTATIONS[MANISKILL]).probe()\n"
    "print(text); raise SystemExit(not good)"
)
DRIVERS = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
RENDERER_REMEDY = "run `bash launchers/vulkan.sh`, or install a Vulkan driver (NVIDIA's, or Mesa 25 or newer)"


def answers() -> Iterator[tuple[bool, str]]:
    for ask in (_python, _numpy, _jax, _renderer):
        yield ask()


def require_backend() -> None:
    """Raises ValueError where JAX has no device to compute on; in this process, which needs it anyway."""
    import jax

    try:
        jax.devices()
    except Exception as error:  # RuntimeError of several kinds, by platform
        raise ValueError(_no_backend(str(error))) from error


def require_platforms() -> None:
    """Raises ValueError where JAX_PLATFORMS names what JAX cannot start; asked in a process of its own, for JAX starts once."""
    if os.environ.get("JAX_PLATFORMS", "cpu") in ("", "cpu"):
        return
    good, _, complaint = _probed(BACKEND)
    if not good:
        raise ValueError(_no_backend(complaint))


def _no_backend(reason: str) -> str:
    asked = os.environ.get("JAX_PLATFORMS")
    first = reason.strip().splitlines()[0] if reason.strip() else "none of its platforms started"
    remedy = (
        f"JAX_PLATFORMS={asked} asks for a device that is not here or a plugin that is not installed; unset it, or set "
        "JAX_PLATFORMS=cpu"
        if asked
        else "set JAX_PLATFORMS=cpu to compute without a GPU, or repair the GPU's driver"
    )
    return f"JAX has no backend: {first}; {remedy}."


def _python() -> tuple[bool, str]:
    good = sys.version_info[:2] in ((3, 11), (3, 12))
    return good, f"python {sys.version.split()[0]}" + ("" if good else ": install Python 3.11 or 3.12")


def _numpy() -> tuple[bool, str]:
    import numpy

    good = int(numpy.__version__.split(".")[0]) < 2
    return good, f"numpy {numpy.__version__}" + (
        ""
        if good
        else ": the motion planner crashes with numpy 2; pip install 'numpy<2' to make demos (training is fine)"
    )


def _jax() -> tuple[bool, str]:
    good, text, complaint = _probed(BACKEND)
    return good, f"jax {text}" if good else f"jax: {_no_backend(complaint)}"


def _renderer() -> tuple[bool, str]:
    good, text, complaint = _probed(RENDERER)
    if text:
        return good, text
    reason = f"{nowhere()[0]} names no file; unset it, or " if nowhere() else ""
    return False, f"renderer none: the probe {complaint}; {reason}{RENDERER_REMEDY}"


def require_driver() -> None:
    """Raises ValueError where the environment names a Vulkan driver that is not there; a renderer would end its process."""
    if nowhere():
        raise ValueError(f"{nowhere()[0]} names no file, so nothing can be rendered; unset it, or {RENDERER_REMEDY}.")


def nowhere() -> list[str]:
    """The variables that name a Vulkan driver and no file that is there."""
    return [f"{name}={os.environ[name]}" for name in DRIVERS if os.environ.get(name) and not _exists(name)]


def _exists(name: str) -> bool:
    return any(os.path.exists(path) for path in os.environ[name].split(os.pathsep))


def _probed(code: str) -> tuple[bool, str, str]:
    """(good, what it printed last, how it ended otherwise) of Python code in a process of its own."""
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PROBE_S)
    except subprocess.TimeoutExpired:
        return False, "", f"gave no answer in {PROBE_S:.0f} s"
    text = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode < 0:
        return False, "", f"was ended by {signal.Signals(-done.returncode).name}"
    lines = done.stderr.strip().splitlines()
    return done.returncode == 0, text[0], lines[-1] if lines else f"ended with status {done.returncode}"
