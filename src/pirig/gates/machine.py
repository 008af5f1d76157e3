"""Can this machine plan, render and train? Each answer is whether it is good, and a line that says what to do if not."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def answers() -> Iterator[tuple[bool, str]]:
    for ask in (_python, _numpy, _jax, _renderer):
        yield ask()


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
    from pirig.contract import MANISKILL
    from pirig.sim.door import IMPLEMENTATIONS, implementation_at

    return implementation_at(IMPLEMENTATIONS[MANISKILL]).probe()
