"""npz episodes of an arm as they go wrong: each bad file is named and left out as a whole, the others are what they are."""

import io
import pickle
import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pirig.cli import main
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets.from_recording import left_out
from pirig.datasets.inspect import look
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.npz_source import NpzSource
from pirig.foreign.kinds import Kind, kind_of
from pirig.gates.ask import reports
from tests.datasets.kinova_recordings import data_set_of
from tests.datasets.npz_episodes import arrays_of, write_episodes


class Opened:
    """What runs where somebody unpickles."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def changed(**arrays):
    """Of one file; None takes a key out."""

    def bend(file):
        held = arrays_of(1) | {
            key: value(arrays_of(1)[key]) if callable(value) else value for key, value in arrays.items()
        }
        np.savez_compressed(file, **{key: value for key, value in held.items() if value is not None})

    return bend


def cut(share):
    return lambda file: file.write_bytes(file.read_bytes()[: int(share * len(file.read_bytes()))])


def with_objects(key):
    def bend(file):
        np.savez(file, **(arrays_of(1) | {key: np.array([Opened()] * 3, object)}))

    return bend


def members(change):
    """`change`: from {member: bytes} to a list of (member, bytes)."""

    def bend(file):
        with zipfile.ZipFile(file) as packed:
            held = {name: packed.read(name) for name in packed.namelist()}
        with zipfile.ZipFile(file, "w") as packed:
            for name, data in change(held):
                packed.writestr(name, data)

    return bend


def header_lies(held):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (24, 9000, 9000, 3)})
    return [
        *((name, data) for name, data in held.items() if "agent" not in name),
        ("agent_images.npy", buffer.getvalue()),
    ]


def one_bit(file):
    """In the pictures' bytes: the directory at the end stays whole."""
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(bytes(data))


def number(key, value, frame=7):
    def bend(values):
        values = values.astype(np.float64)
        values[frame, 2] = value
        return values

    return changed(**{key: bend})


BAD = {
    "empty": (lambda file: file.write_bytes(b""), "truncated or not an .npz file"),
    "text": (lambda file: file.write_text("no zip at all"), "truncated or not an .npz file"),
    "cut off": (cut(0.6), "truncated or not an .npz file"),
    "without its last byte": (lambda file: file.write_bytes(file.read_bytes()[:-30]), "truncated or not an .npz file"),
    "a bit is another": (one_bit, "images cannot be read"),
    "no actions": (changed(actions=None), r"no actions \(it has agent_images"),
    "no rate": (changed(collection_frequency=None), "no collection_frequency"),
    "lengths": (changed(actions=lambda values: values[:-1]), r"different lengths \(agent_images \[24, 32, 48, 3\]"),
    "a picture more": (changed(wrist_images=lambda values: np.concatenate([values, values[:1]])), "different lengths"),
    "four frames": (changed(**{key: lambda values: values[:4] for key in ("agent_images", "wrist_images", "states", "actions")}), "4 frames; expected at least 5"),
    "nothing": (changed(**{key: lambda values: values[:0] for key in ("agent_images", "wrist_images", "states", "actions")}), "different lengths|0 frames"),
    "NaN": (number("states", np.nan), r"frame 7: number 2 of states is nan"),
    "infinite": (number("actions", -np.inf), r"frame 7: number 2 of actions is -inf"),
    "huge": (number("actions", 3e38), r"number 2 of actions is 3e\+38"),
    "pictures of floats": (changed(agent_images=lambda values: values / np.float32(255)), r"agent_images is float32 .*expected uint8"),
    "channels first": (changed(agent_images=lambda values: values.transpose(0, 3, 1, 2)), r"agent_images is uint8 \[24, 3, 32, 48\]"),
    "grey pictures": (changed(wrist_images=lambda values: values[..., 0]), r"wrist_images is uint8 \[24, 32, 48\]"),
    "states of text": (changed(states=lambda values: values.astype(str)), "states is <U"),
    "states complex": (changed(states=lambda values: values.astype(complex)), "states is complex128"),
    "a state a frame": (changed(states=lambda values: values[:, 0]), r"states is float32 \[24\]"),
    "objects as states": (with_objects("states"), "states holds Python objects, which are not unpickled"),
    "an object as task": (changed(task=np.array("Grab", object)), "task holds Python objects"),
    "several tasks": (changed(task=np.array(["a", "b"])), "task is .*expected one sentence"),
    "a rate of 0": (changed(collection_frequency=np.array(0)), "collection_frequency is 0"),
    "a rate of NaN": (changed(collection_frequency=np.array(np.nan)), "collection_frequency is nan"),
    "two rates": (changed(collection_frequency=np.array([10, 10])), "collection_frequency is .10, 10"),
    "another rate than the others": (changed(collection_frequency=np.array(30)), "30 Hz; expected .*10 Hz, as most files have it"),
    "other pictures than the others": (changed(agent_images=lambda values: values[:, :16]), "48 x 16 px.*expected .*48 x 32 px"),
    "seven numbers": (changed(actions=lambda values: values[:, :7]), "actions of 7.*expected .*actions of 8"),
    "a header that lies": (members(header_lies), r"agent_images holds \d+ bytes, its header says 58\d+"),
    "an array twice": (members(lambda held: [*held.items(), ("states.npy", held["states.npy"])]), "states is there twice"),
    "a member that is no array": (members(lambda held: [*held.items(), ("readme.txt", b"hello")]), "truncated or not an .npz file"),
    "a pickle as a member": (members(lambda held: [*((n, d) for n, d in held.items() if "states" not in n), ("states.npy", pickle.dumps(Opened()))]), "truncated or not an .npz file"),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The config of three good files, and what they become."""
    root = tmp_path_factory.mktemp("good")
    config = config_of(write_episodes(root), root)
    return config, Dataset(data_set_of(config))


def config_of(data, root, *words):
    return compose(["task=kinova", "size=tiny", f"demos.path={data}", f"run.root={root / 'out'}", *words])


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_left_out_as_a_whole(good, tmp_path, kind):
    bend, says = BAD[kind]
    data = write_episodes(tmp_path)
    bend(data / "20260105/libero_format/grab_libero_20260105_000001.npz")
    whole, demos, run = (
        good[1],
        replace(good[0].demos, path=str(data)),
        replace(good[0].run, root=str(tmp_path / "out")),
    )
    config = replace(good[0], demos=demos, run=run)
    places = places_of(config)
    dataset = Dataset(data_set_of(config))
    kept = np.concatenate([np.arange(24), np.arange(48, 72)])
    assert dataset.lengths == [24, 24] and dataset.seeds == [0, 2]
    np.testing.assert_array_equal(dataset.state, whole.state[kept])
    np.testing.assert_array_equal(dataset.actions, whole.actions[kept])
    np.testing.assert_array_equal(dataset.image("base_0_rgb", 24), whole.image("base_0_rgb", 48))
    (said,) = left_out(config, places).values()
    assert "grab_libero_20260105_000001.npz: " in said
    assert re.search(says, said), said


def test_what_comes_out_says_so(tmp_path, capsys):
    """Exit status, screen, provenance, inspect and doctor say the same; naming the episode says that it is known."""
    data = write_episodes(tmp_path)
    cut(0.5)(data / "20260105/libero_format/grab_libero_20260105_000002.npz")
    words = ["task=kinova", "size=tiny", f"demos.path={data}", f"run.root={tmp_path / 'out'}"]
    for verb in ("demos", "convert", "convert"):
        assert main([verb, *words]) == 3
        assert "left out: 1 episodes" in (said := capsys.readouterr().err) and "demos.leave_out=[2]" in said
    assert [line for line in look(data).lines if "left out: episode 2: " in line]
    assert any("000002.npz: truncated" in one for _, report in reports(data) for one in report.found["complete"])
    assert main(["convert", *words, "demos.leave_out=[2]"]) == 0
    assert "left out" not in capsys.readouterr().err


def test_where_none_is_good_nothing_is_written(tmp_path):
    data = write_episodes(tmp_path)
    for file in data.rglob("*.npz"):
        cut(0.5)(file)
    assert kind_of(data) == Kind.npz
    with pytest.raises(ValueError, match=r"none of its 3 episodes can be used \(the first: .*000000\.npz: truncated"):
        config_of(data, tmp_path)
    with pytest.raises(ValueError, match=r"000001\.npz: truncated"):
        config_of(data / "20260105/libero_format/grab_libero_20260105_000001.npz", tmp_path)
    assert not (tmp_path / "out").exists()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from([None, None, *BAD]), min_size=2, max_size=6), last=st.integers(5, 9))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_whatever_is_bad_among_good_files_no_frame_of_it_is_read(tmp_path_factory, kinds, last):
    root = tmp_path_factory.mktemp("mixed")
    kinds = [*kinds, None, None, None]  # good ones are most, so that they are what the others differ from
    kinds += [None] * len(kinds)
    data = write_episodes(
        root, [arrays_of(number % 5, steps=24 if kind else last) for number, kind in enumerate(kinds)]
    )
    files = sorted(data.rglob("*.npz"))
    for kind, file in zip(kinds, files, strict=True):
        if kind:
            BAD[kind][0](file)
    source = NpzSource(data)
    source.examine()
    told = [number for number, kind in enumerate(kinds) if not kind]
    assert [episode.index for episode in source.episodes] == told
    assert sorted(source.faults) == [number for number, kind in enumerate(kinds) if kind]
    for episode in source.episodes:
        held = arrays_of(episode.index % 5, steps=last)
        np.testing.assert_array_equal(source.numbers(episode, ["action"]), held["actions"])
        np.testing.assert_array_equal(source.images(episode, "observation.images.wrist"), held["wrist_images"])
