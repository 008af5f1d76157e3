"""The type checker of jaxtyping's import hook (see conftest.py): beartype, for shapes and types of arrays alone.

What else a signature says is mypy's: tests give fakes for data sets and settings, and some names are imported for mypy only.
"""

from __future__ import annotations

from collections.abc import Callable

from beartype import beartype


def checked(function: Callable) -> Callable:
    """The function with its arrays checked; as it is where its signature names none."""
    arrays = {name: kind for name, kind in function.__annotations__.items() if "jaxtyping." in repr(kind)}
    if not arrays:
        return function
    function.__annotations__ = arrays
    return beartype(function)
