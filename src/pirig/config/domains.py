"""What a value of the schema may be, beside its type: `steps: Count = 1000`. Asked of the whole config before anything starts.

A number without a domain is a defect of the schema (`tests/config/test_domains.py`). A float is finite everywhere.
"""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Collection, Iterator
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, Protocol

from pirig.config.names import ALL_ROLES, GATES, near
from pirig.config.state_entries import STATE_ENTRIES

LARGEST_SEED = 2**32 - 1  # numpy's and ManiSkill's generators take no more
LARGEST_COUNT = 2**31 - 1  # steps and sizes are counted in 32 bits on a device


class Domain(Protocol):
    def holds(self, value: Any) -> bool: ...

    def expected(self) -> str:
        """As in "expected ..."."""
        ...


@dataclass(frozen=True)
class Between:
    """Numbers from `least` (or above `above`) to `most` (or below `below`); all of them finite."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    whole: bool = False
    zero: bool = True  # whether 0 is one of them

    def holds(self, value: Any) -> bool:
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
            and (self.zero or value != 0)
        )

    def expected(self) -> str:
        bounds = (
            ("of at least", self.least),
            ("above", self.above),
            ("of at most" if self.least is None and self.above is None else "at most", self.most),
            ("below", self.below),
        )
        words = [f"{word} {_number(bound)}" for word, bound in bounds if bound is not None]
        noun = "a whole number" if self.whole else "a number"
        text = f"{noun} {' and '.join(words)}".rstrip() if words else noun
        return text if self.zero else f"{text} other than 0"


@dataclass(frozen=True, eq=False)
class OneOf:
    """Words. `names` may grow while the program runs; `where`: where another one can be added."""

    names: Collection[str]
    where: str = ""

    def holds(self, value: Any) -> bool:
        return value in self.names

    def expected(self) -> str:
        return f"one of {', '.join(self.names)}" + (f" ({self.where})" if self.where else "")


@dataclass(frozen=True)
class Long:
    """A list of so many values."""

    count: int

    def holds(self, value: Any) -> bool:
        return len(value) == self.count

    def expected(self) -> str:
        return f"{self.count} numbers"


@dataclass(frozen=True, eq=False)
class WholeOr:
    """A whole number from 0 on, as text, or a word."""

    word: str

    def holds(self, value: Any) -> bool:
        return value == self.word or (str(value).isdecimal() and value == str(min(int(value), LARGEST_COUNT)))

    def expected(self) -> str:
        return f"a whole number of at least 0, or {self.word}"


def _whole(least: int, most: int = LARGEST_COUNT, zero: bool = True) -> Between:
    return Between(least=least, most=most, whole=True, zero=zero)


Count = Annotated[int, _whole(1)]
CountOrNone = Annotated[int, _whole(0)]  # what 0 means stands beside the key
Seed = Annotated[int, _whole(0, LARGEST_SEED)]
Signed = Annotated[int, _whole(-LARGEST_COUNT, zero=False)]
Finite = Annotated[float, Between()]
Positive = Annotated[float, Between(above=0)]
NotNegative = Annotated[float, Between(least=0)]
Share = Annotated[float, Between(least=0, most=1)]
SharePart = Annotated[float, Between(least=0, below=1)]  # something is left
Part = Annotated[float, Between(above=0, below=1)]  # something is taken and something is left
Angle = Annotated[float, Between(above=0, below=math.pi)]
Turn = Annotated[float, Between(least=-2 * math.pi, most=2 * math.pi)]
StepReward = Annotated[float, Between(least=-1, most=0)]
Gripper = Annotated[float, Between(least=-1, most=1)]
FrameStep = Annotated[int, _whole(1, 1000)]
Processes = Annotated[int, _whole(1, 1024)]
Pixels = Annotated[int, _whole(1, 8192)]  # no renderer here draws more
PixelsOrNone = Annotated[int, _whole(0, 8192)]
AngleUnit = Annotated[str, OneOf(("rad", "deg"))]
Times = Annotated[str, OneOf(("check", "ignore"))]
Version = Annotated[str, OneOf(("v3.0", "v2.1", "source"))]
Pictures = Annotated[str, OneOf(("images", "video"))]
Codec = Annotated[str, OneOf(("h264", "av1"))]
Normalization = Annotated[str, OneOf(("zscore", "quantile"))]
FloatType = Annotated[str, OneOf(("float32", "bfloat16"))]
Remat = Annotated[str, OneOf(("size", "always", "never"))]
Allocator = Annotated[str, OneOf(("outside", "default", "platform", "bfc", "cuda_async"))]
WandbMode = Annotated[str, OneOf(("disabled", "offline", "online"))]
Delay = Annotated[str, WholeOr("measured")]
Port = Annotated[int, _whole(0, 65535)]  # 0: a free one
LayoutName = Annotated[str, OneOf(("ours", "libero", "droid", "aloha"), "src/pirig/policies/layouts")]
Backup = Annotated[str, OneOf(("mean", "best"))]
CriticUse = Annotated[str, OneOf(("best_of", "fql", "weighted", "residual"))]
WireProtocol = Annotated[str, OneOf(("openpi", "vla_eval"))]
Trainer = Annotated[str, OneOf(("pirig", "openpi"))]
GateName = Annotated[str, OneOf(GATES)]
Role = Annotated[str, OneOf(ALL_ROLES, "the model's names for its images")]
EntryName = Annotated[str, OneOf(STATE_ENTRIES, "src/pirig/config/state_entries.py")]


def outside(config: Any) -> list[str]:
    """A sentence for each value outside its domain, the key and what is expected in it."""
    return [
        _sentence(key, value, domain)
        for key, value, domain in _asked(type(config), config, "")
        if domain is not None and not domain.holds(value)
    ]


def leaves(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any, list[Domain]]]:
    """(key, type, domains) of every value that a dataclass may hold; `<name>` stands for the keys of a dict."""
    for name, hint in hints_of(kind).items():
        yield from _leaves(hint, prefix + name, [])


def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields with their domains."""
    return _hints(kind)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _leaves(hint: Any, key: str, domains: list[Domain]) -> Iterator[tuple[str, Any, list[Domain]]]:
    plain, own = unwrapped(hint)
    domains = domains + own
    if is_dataclass(plain):
        yield from leaves(plain, f"{key}.")
    elif typing.get_origin(plain) is dict:
        yield from _leaves(typing.get_args(plain)[1], f"{key}.<name>", [])
    elif typing.get_origin(plain) is list:
        yield from _leaves(typing.get_args(plain)[0], key, [])
    else:
        yield key, plain, domains


def unwrapped(hint: Any) -> tuple[Any, list[Domain]]:
    """The type without Annotated and None, and the domains that stood there."""
    domains: list[Domain] = []
    while True:
        if typing.get_origin(hint) is Annotated:
            hint, *notes = typing.get_args(hint)
            domains += notes
        elif type(None) in typing.get_args(hint):
            hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
        else:
            return hint, domains


def _asked(hint: Any, value: Any, key: str) -> Iterator[tuple[str, Any, Domain | None]]:
    """Every value of a config with each of its domains."""
    plain, domains = unwrapped(hint)
    if value is None:
        return
    for domain in domains:
        yield key, value, domain
    dotted = f"{key}." if key else ""
    if is_dataclass(plain):
        for name, inner in hints_of(typing.cast(Any, plain)).items():
            yield from _asked(inner, getattr(value, name), dotted + name)
    elif typing.get_origin(plain) is dict:
        for name, one in value.items():
            yield from _asked(typing.get_args(plain)[1], one, f"{dotted}{name}")
    elif typing.get_origin(plain) is list:
        for place, one in enumerate(value):
            yield from _asked(typing.get_args(plain)[0], one, f"{key}[{place}]")


def _sentence(key: str, value: Any, domain: Domain) -> str:
    shown = f"{key}={value}".replace(" ", "") if isinstance(value, list) else f"{key}={value}"
    expected = domain.expected()
    if isinstance(value, float) and not math.isfinite(value):
        expected = expected.replace("a number", "a finite number")
    nearest = near(value, domain.names) if isinstance(domain, OneOf) else ""
    return f"{shown}: expected {expected}." + (f" Did you mean {nearest}?" if nearest else "")


def _number(value: float) -> str:
    return f"{value:,}" if value == int(value) else f"{value:.4g}"
