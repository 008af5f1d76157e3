"""Any valid data set survives every round trip: its numbers, pictures, sentences and lengths (hypothesis)."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pirig.cli import main
from pirig.datasets.lerobot.source import LeRobotSource
from tests.datasets.kinova_recordings import BASE, WRIST, write_recording
from tests.datasets.test_dataset_verb import digests

SENTENCES = (
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)
FEW = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@st.composite
def recordings(draw):
    """(arguments of write_recording): episodes of a few small frames with columns of any width and name."""
    widths = draw(
        st.dictionaries(st.from_regex(r"[a-z][a-z_.]{0,12}[a-z]", fullmatch=True), st.integers(1, 9), max_size=3)
    )
    widths = {f"more.{name}": width for name, width in widths.items()} | {"action": 7, "observation.state": 8}
    lengths = draw(st.lists(st.integers(2, 6), min_size=1, max_size=4))
    table = draw(st.lists(SENTENCES, min_size=1, max_size=3, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    height, width = draw(st.sampled_from([(8, 8), (6, 10), (7, 5)]))
    episodes = [
        {
            name: rng.normal(0, 10.0 ** rng.integers(-3, 3), (length, size)).astype(np.float32)
            for name, size in widths.items()
        }
        | {key: rng.integers(0, 256, (length, height, width, 3), np.uint8) for key in (BASE, WRIST)}
        for length in lengths
    ]
    told = [table[int(rng.integers(len(table)))] for _ in lengths]
    fps = draw(st.sampled_from([5, 10, 30, 29.97, 50]))
    return {"episodes": episodes, "task": told, "fps": fps, "version": draw(st.sampled_from(["v2.1", "v3.0"]))}


def dataset(*words: object) -> None:
    assert main(["dataset", *map(str, words)]) == 0


def require_same(first: LeRobotSource, second: LeRobotSource, order: list[int] | None = None) -> None:
    """`order`: which episode of the first each of the second is."""
    order = list(range(len(first.episodes))) if order is None else order
    assert len(second.episodes) == len(order) and first.fps == second.fps
    assert {key: one.shape for key, one in first.features.items()} == {
        key: one.shape for key, one in second.features.items()
    }
    for number, after in zip(order, second.episodes, strict=True):
        before = first.episodes[number]
        assert (before.length, before.tasks) == (after.length, after.tasks)
        for name in first.number_columns():
            np.testing.assert_array_equal(first.numbers(before, [name]), second.numbers(after, [name]))
        for name in (BASE, WRIST):
            np.testing.assert_array_equal(first.images(before, name), second.images(after, name))


@FEW
@given(recordings())
def test_to_the_other_version_and_back(arguments):
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        first = LeRobotSource(write_recording(top / "first", **arguments))
        before = digests(first.folder)
        dataset("convert", top / "first", top / "new", "--format", "v3.0")
        dataset("convert", top / "new", top / "old", "--format", "v2.1")
        dataset("convert", top / "old", top / "again", "--format", "v3.0")
        assert digests(top / "new") == digests(top / "again") and digests(first.folder) == before
        for made in ("new", "old"):
            require_same(first, LeRobotSource(top / made))


@FEW
@given(recordings(), st.data())
def test_taken_apart_and_put_together(arguments, data):
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        first = LeRobotSource(write_recording(top / "first", **arguments))
        count = len(first.episodes)
        some = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=count))
        parts = [sorted(some), [one for one in range(count) if one not in some]]
        made = []
        for number, part in enumerate(filter(None, parts)):
            made.append(top / f"part{number}")
            dataset("filter", top / "first", made[-1], "--episodes", ",".join(map(str, part)))
        if len(made) == 2:
            dataset("merge", *made, top / "whole")
        whole = LeRobotSource(top / "whole" if len(made) == 2 else made[0])
        require_same(first, whole, [one for part in parts for one in part])
        assert whole.examine() == []


@FEW
@given(recordings())
def test_renamed_and_named_back(arguments):
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        first = LeRobotSource(write_recording(top / "first", **arguments))
        dataset("edit", top / "first", top / "there", "--rename", f"{BASE}=image", "--rename", "action=actions")
        dataset("edit", top / "there", top / "back", "--rename", f"image={BASE}", "--rename", "actions=action")
        require_same(first, LeRobotSource(top / "back"))
