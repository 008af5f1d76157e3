"""Messages of openpi's protocol: equal to openpi-client's own, and nothing that is malformed becomes an array."""

import msgpack
import numpy as np
import pytest

from pirig.policies.wire import WireError, pack, unpack

REQUEST = {
    "images": {"base_0_rgb": np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)},
    "state": np.array([0.5, -1.0], np.float32),
    "flag": np.bool_(True),
    "number": np.float64(0.25),
    "prompt": "push the cube",
    "empty": np.zeros((0, 3), np.int32),
}


def equal(ours, theirs):
    assert type(ours) is type(theirs) or {type(ours), type(theirs)} <= {list, tuple}
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            equal(ours[key], theirs[key])
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours == theirs


def test_it_is_openpi_clients_format_both_ways():
    from openpi_client import msgpack_numpy

    assert pack(REQUEST) == msgpack_numpy.packb(REQUEST)
    equal(unpack(msgpack_numpy.packb(REQUEST), 1), msgpack_numpy.unpackb(pack(REQUEST)))


def array():
    return {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "<f4", b"shape": [2]}


@pytest.mark.parametrize(
    "value, said",
    [
        (array() | {b"shape": [3]}, "does not fit its data"),
        (array() | {b"shape": [-2]}, "whole numbers"),
        (array() | {b"shape": [1 << 40, 1 << 40]}, "does not fit its data"),
        (array() | {b"shape": "2"}, "whole numbers"),
        (array() | {b"shape": [1] * 9}, "at most 8"),
        (array() | {b"shape": [True, 2]}, "whole numbers"),
        (array() | {b"dtype": "|O"}, "only numbers"),
        (array() | {b"dtype": "no such"}, "unknown dtype"),
        (array() | {b"dtype": "(2,)f4"}, "only numbers"),
        (array() | {b"dtype": [["a", "<f4"]]}, "dtype"),
        (array() | {b"data": "text"}, "no bytes but a str"),
        ({b"__ndarray__": True}, "dtype"),
        ({b"__npgeneric__": True, b"dtype": "<f4", b"data": "x"}, "NumPy number"),
    ],
)
def test_a_malformed_array_is_refused_with_what_is_wrong(value, said):
    with pytest.raises(WireError, match=said):
        unpack(msgpack.packb({"state": value}), 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x81\xa1a",  # cut off
        b"\x91" * 100_000 + b"\xc0",  # lists in lists in lists
        b"\xdd\xff\xff\xff\xff",  # a list of four thousand million
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        msgpack.packb(msgpack.ExtType(5, b"x")),
        msgpack.packb({1: 2}),
        msgpack.packb({"a": 1}) + b"more",
        b"\x81\xa1\xff\xc0",  # a key that is no UTF-8
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(WireError):
        unpack(data, 1)


def test_a_large_message_is_refused_before_it_is_read():
    with pytest.raises(WireError, match=r"at most 0\.1"):
        unpack(pack({"state": np.zeros(1 << 17, np.uint8)}), 0.1)


def test_objects_are_not_sent():
    with pytest.raises(WireError, match="object"):
        pack({"state": np.array([None])})
    with pytest.raises(WireError, match="Path"):
        from pathlib import Path

        pack({"state": Path(".")})
