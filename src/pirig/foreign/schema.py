"""Models of foreign files (pydantic), and their faults as our sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from pirig.foreign.faults import refused, shown


def _whole(value: Any) -> Any:
    """24.0 is 24, as tables of floats say it; True is no number."""
    if isinstance(value, bool):
        raise ValueError("a truth value")
    return int(value) if isinstance(value, float) and math.isfinite(value) and value == int(value) else value


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a truth value")
    return value


def _flag(value: Any) -> Any:
    """0 and 1 are truth values, as tables of numbers say them."""
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class Foreign(BaseModel):
    """Keys that no field names are kept out. `EXPECTED`: what a key has to hold, as a message says it."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    EXPECTED: ClassVar[Mapping[str, str]] = {}


Model = TypeVar("Model", bound=Foreign)


def validated(model: type[Model], value: Any, file: Path, remedy: str, where: str = "", **place: Any) -> Model:
    """`where`: "line 3: " in front of the key. Raises ForeignFileError that names the first key that is missing or wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        keys = _keys(value, fault["loc"]) or ["its content"]
        named = ".".join(keys)
        expected = _expected(model, keys)
        missing = fault["type"] == "missing"
        there = f"no {named}" if missing else f"{named} is {shown(_at(value, keys, fault))}"
        raise refused(file, where + there, remedy, expected=expected, **place) from error


def _keys(value: Any, place: Sequence[Any]) -> list[str]:
    """The keys on the way to a fault, without members of lists and pydantic's own words for the kinds of a union."""
    keys = []
    for part in place:
        if isinstance(value, Mapping):
            keys.append(str(part))
            value = value.get(part)
    return keys


def _at(value: Any, keys: list[str], fault: Any) -> Any:
    """What stands under these keys: a whole list, where one of its members is wrong."""
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return fault["input"]
        value = value[key]
    return value


def _expected(model: type[Foreign], keys: list[str]) -> str:
    for key in reversed(keys):
        if key in model.EXPECTED:
            return model.EXPECTED[key]
    return ""
