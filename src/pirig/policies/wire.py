"""Messages of openpi's policy protocol: msgpack, in which a NumPy array is a map of its bytes, dtype and shape.

The format is that of openpi-client's `msgpack_numpy` (a fact of that package, written anew). What comes from a network is
checked before it becomes an array: no object arrays, no shape that the bytes do not have, no nesting without end.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np

ARRAY, SCALAR = b"__ndarray__", b"__npgeneric__"
KINDS = "biuf"  # numbers and booleans: nothing that would need unpickling
MAX_DIMS = 8
MAX_KEYS = 256  # of a map; a request has about ten
MAX_ITEMS = 1 << 20  # of a list of plain numbers: a picture is an array
MIB = 1 << 20


class WireError(ValueError):
    """A message that is none of the protocol's, with what is wrong."""


def pack(value: Any) -> bytes:
    """Nested dicts, lists, text, numbers and arrays -> a message. Raises WireError for arrays of objects."""
    return msgpack.packb(value, default=_plain)


def unpack(data: bytes, max_mib: float) -> Any:
    """A message of at most `max_mib` -> its value; arrays are read-only views of `data`. Raises WireError."""
    if len(data) > max_mib * MIB:
        raise WireError(f"the message has {len(data) / MIB:.1f} MiB, at most {max_mib:g} are taken")
    try:
        return msgpack.unpackb(
            data,
            object_hook=_array,
            ext_hook=_no_extension,
            strict_map_key=True,
            max_map_len=MAX_KEYS,
            max_array_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except WireError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise WireError(f"no msgpack message of openpi's protocol ({type(error).__name__}: {error})") from error


def _plain(value: Any) -> dict[bytes, Any]:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind not in KINDS:
        raise WireError(f"an array of {value.dtype} cannot be sent; numbers and booleans can")
    if isinstance(value, np.ndarray):
        return {ARRAY: True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    if isinstance(value, np.generic):
        return {SCALAR: True, b"data": value.item(), b"dtype": value.dtype.str}
    raise WireError(f"a {type(value).__name__} cannot be sent; dicts, lists, text, numbers and arrays can")


def _array(value: dict[Any, Any]) -> Any:
    if ARRAY in value:
        dtype, shape, data = _dtype(value), _shape(value), value.get(b"data")
        if not isinstance(data, bytes) or math.prod(shape) * dtype.itemsize != len(data):
            size = len(data) if isinstance(data, bytes) else f"no bytes but a {type(data).__name__}"
            raise WireError(f"an array of {dtype} {list(shape)} does not fit its data ({size})")
        return np.frombuffer(data, dtype).reshape(shape)
    if SCALAR in value:
        number = value.get(b"data")
        if not isinstance(number, bool | int | float):
            raise WireError(f"a NumPy number whose data is a {type(number).__name__}")
        return _dtype(value).type(number)
    return value


def _dtype(value: dict[Any, Any]) -> np.dtype:
    name = value.get(b"dtype")
    if not isinstance(name, str | bytes):
        raise WireError(f"an array whose dtype is a {type(name).__name__}")
    try:
        dtype = np.dtype(name.decode() if isinstance(name, bytes) else name)
    except (TypeError, ValueError, SyntaxError) as error:
        raise WireError(f"an array of the unknown dtype {str(name)[:40]!r}") from error
    if dtype.kind not in KINDS or dtype.subdtype is not None:
        raise WireError(f"an array of {str(name)[:40]!r}: only numbers and booleans are taken")
    return dtype


def _shape(value: dict[Any, Any]) -> tuple[int, ...]:
    shape = value.get(b"shape")
    sound = isinstance(shape, list) and len(shape) <= MAX_DIMS
    if not sound or any(type(side) is not int or side < 0 for side in shape or ()):
        raise WireError(f"an array of the shape {str(shape)[:60]}: expected at most {MAX_DIMS} whole numbers")
    return tuple(shape or ())


def _no_extension(code: int, data: bytes) -> Any:
    raise WireError(f"msgpack extension {code}: none is part of the protocol")
