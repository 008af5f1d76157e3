"""`pirig doctor`: can this machine plan, render and train? Each line says what was found and, if wrong, what to do."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    if arguments:
        print(f"{__doc__}\n\n  pirig doctor")
        return 0 if arguments[0] in ("-h", "--help") else 2
    lines = [_python(), _numpy(), _jax(), _renderer()]
    for good, text in lines:
        print(("ok    " if good else "WRONG ") + text)
    return 0 if all(good for good, _ in lines) else 1


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
    import jax

    return True, f"jax {jax.__version__} on {jax.devices()}"


def _renderer() -> tuple[bool, str]:
    from pirig.sim import renderer

    renderer.configure()
    report = renderer.probe()
    return report.ok, f"renderer {report.name}" + ("" if report.ok else f": {report.error}")
