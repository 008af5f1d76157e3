"""What LIBERO's own demonstration files (<task>_demo.hdf5) say, validated once; LIBERO itself is not needed.

A file is of one task: data/demo_<n>/ with actions f64 [T, 7], states f64 [T, 1 + nq + nv] (MuJoCo's, before each action),
pictures and numbers below obs/ (of after each action, so that they do not stand beside it), and the attribute model_file: the
scene's XML, which says where cabinets and stoves stood. Source: LIBERO's scripts/create_dataset.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pirig.foreign.faults import refused
from pirig.foreign.trajectory import AGAIN, opened

ENDING, GROUP = "_demo", "data"
EXPECTED = "LIBERO's <task>_demo.hdf5, with data/demo_0/actions and data/demo_0/states"
ACTIONS = 7


@dataclass(frozen=True)
class Demonstration:
    """`number`: n of demo_<n>. `actions` f32 [T, 7] in [-1, 1]; `state` f64 [1 + nq + nv], before the first of them."""

    file: Path
    number: int
    actions: np.ndarray
    state: np.ndarray
    model_xml: str

    @property
    def fixtures(self) -> dict[str, np.ndarray]:
        """Where every body of the scene's XML stands in its parent, (m, quat_wxyz) f64 [7], by name."""
        import xml.etree.ElementTree as ElementTree

        try:
            root = ElementTree.fromstring(self.model_xml)
        except ElementTree.ParseError as error:
            raise refused(
                self.file, f"its model_file is no XML ({error})", AGAIN, expected=EXPECTED, episode=self.number
            ) from error
        return {body.get("name", ""): _pose(body) for body in root.iter("body")}


def _pose(body: Any) -> np.ndarray:
    words = f"{body.get('pos', '0 0 0')} {body.get('quat', '1 0 0 0')}".split()
    return np.array([float(word) for word in words])


def files_of(path: Path) -> dict[str, Path]:
    """{the task's name: its file} of one file, or of a folder's. Raises ForeignFileError where there is none."""
    path = Path(path)
    files = sorted(path.glob(f"*{ENDING}.hdf5")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        there = "it is not there" if not path.exists() else f"no *{ENDING}.hdf5 in it"
        raise refused(f"demos.path: {path}", there, "give such a file, or a folder of them", expected=EXPECTED)
    return {_task_of(file): file for file in files}


def _task_of(file: Path) -> str:
    """As the file says itself, by its BDDL file's name; else by its own name."""
    with _data(file) as data:
        told = data.attrs.get("bddl_file_name", "")
        told = told.decode() if isinstance(told, bytes) else str(told)
    return Path(told.replace("\\", "/")).stem or file.stem.removesuffix(ENDING)


def numbers_of(file: Path) -> list[int]:
    """Of its demonstrations, ascending."""
    with _data(file) as data:
        found = [int(match[1]) for name in data if (match := re.fullmatch(r"demo_(\d+)", str(name)))]
    if not found:
        raise refused(file, "no demo_<n> in its data", "give another file", expected=EXPECTED)
    return sorted(found)


def read(file: Path, number: int) -> Demonstration:
    """Raises ForeignFileError where it lacks actions or states, or they are not finite numbers of one length."""
    with _data(file) as data:
        group = data[f"demo_{number}"]
        actions = _numbers(file, group, "actions", number)
        states = _numbers(file, group, "states", number)
        model_xml = group.attrs.get("model_file", "")
        model_xml = model_xml.decode() if isinstance(model_xml, bytes) else str(model_xml)
    if actions.shape[1] != ACTIONS or len(states) != len(actions):
        raise refused(
            file, f"actions are {list(actions.shape)}, states {list(states.shape)}", AGAIN,
            expected=f"[T, {ACTIONS}] and [T, k] of one length", episode=number,
        )  # fmt: skip
    if not model_xml:
        raise refused(
            file, "no model_file, so nothing says where cabinets and stoves stood", AGAIN, expected=EXPECTED,
            episode=number,
        )  # fmt: skip
    return Demonstration(file, number, np.clip(actions, -1, 1).astype(np.float32), states[0], model_xml)


def _numbers(file: Path, group: Any, name: str, number: int) -> np.ndarray:
    held = group.get(name)
    if held is None or not hasattr(held, "dtype") or held.ndim != 2 or 0 in held.shape or held.dtype.kind not in "fiu":
        there = f"{name} is {held.dtype} {list(held.shape)}" if hasattr(held, "dtype") else f"no {name}"
        raise refused(file, there, AGAIN, expected=f"{name} [T, k], numbers", episode=number)
    values = np.asarray(held, np.float64)
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise refused(
            file, f"a NaN or infinite number in {name}", AGAIN, expected="finite numbers", episode=number, frame=int(wrong[0])
        )  # fmt: skip
    return values


@contextmanager
def _data(file: Path) -> Iterator[Any]:
    with opened(file) as held:
        data = held.get(GROUP)
        if data is None or not hasattr(data, "keys"):
            raise refused(
                file, f"it holds {', '.join(map(str, held)) or 'nothing'}", "give another file", expected=EXPECTED
            )
        yield data
