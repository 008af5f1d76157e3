"""A data set in each of the four forms: what the reader gives back, and what the files say."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pirig.cli import main
from pirig.config.checks import ConfigError
from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.datasets import make, make_stats
from pirig.datasets.frame_cache import frame_cache
from pirig.datasets.lerobot.read import Dataset
from pirig.datasets.lerobot.source import LeRobotSource
from pirig.datasets.lerobot.write import Form, LeRobotWriter
from pirig.datasets.pictures.film_write import ENCODERS
from tests.datasets.episodes import make_contract, write_dataset
from tests.datasets.kinova_recordings import data_set_of, write_recording

FORMS = [Form(version, codec) for version in ("v3.0", "v2.1") for codec in ("", *ENCODERS)]
IDS = [f"{form.version}-{form.codec or 'images'}" for form in FORMS]
KEY = "observation.images.base_0_rgb"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return Dataset(write_dataset(tmp_path_factory.mktemp("usual") / "lerobot", make_contract(), range(4)))


@pytest.fixture(scope="module", params=FORMS, ids=IDS)
def formed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("formed") / "lerobot"
    return request.param, Dataset(write_dataset(folder, make_contract(), range(4), form=request.param))


def test_every_form_is_read_as_the_usual_one(formed, usual, tmp_path):
    form, dataset = formed
    assert dataset.info["codebase_version"] == form.version
    assert (dataset.lengths, dataset.seeds, dataset.contract) == (usual.lengths, usual.seeds, usual.contract)
    np.testing.assert_array_equal(dataset.state, usual.state)
    np.testing.assert_array_equal(dataset.actions, usual.actions)
    order = np.random.default_rng(0).permutation(usual.frame_count)
    for role in usual.roles:
        ours = np.stack([dataset.image(role, int(row)) for row in order]).astype(float)
        theirs = np.stack([usual.image(role, int(row)) for row in order]).astype(float)
        assert np.abs(ours - theirs).mean() <= (12 if form.codec else 0)  # the pictures are 32 px of bright stripes
        cache = frame_cache(dataset, 32, tmp_path)[role]
        np.testing.assert_array_equal(cache[order], ours)
    assert (dataset.content_hash == usual.content_hash) == (not form.codec)


def test_every_form_passes_the_door_for_recordings(formed):
    _, dataset = formed
    source = LeRobotSource(dataset.folder)
    assert source.examine() == []
    assert [episode.length for episode in source.episodes] == dataset.lengths


def test_a_film_says_what_it_lost(formed, usual, capsys, tmp_path):
    form, dataset = formed
    feature = dataset.info["features"][KEY]
    assert feature["dtype"] == ("video" if form.codec else "image")
    if form.codec:
        told = feature["info"]
        rows = range(dataset.frame_count)
        apart = np.stack(
            [dataset.image("base_0_rgb", row).astype(float) - usual.image("base_0_rgb", row) for row in rows]
        )
        assert told["pirig.psnr_db"] == pytest.approx(10 * np.log10(255**2 / (apart**2).mean()), abs=0.01)
        assert told["pirig.psnr_db_worst_frame"] <= told["pirig.psnr_db"]
        assert (told["video.codec"], told["video.fps"], told["video.height"]) == (form.codec, 20, 32)
        write_dataset(tmp_path / "again", make_contract(), range(1), form=form)
        assert f"{form.codec} has lost detail: " in capsys.readouterr().out


def test_the_tree_is_that_of_its_version(formed):
    form, dataset = formed
    names = {str(file.relative_to(dataset.folder)) for file in dataset.folder.rglob("*") if file.is_file()}
    films = {name for name in names if name.startswith("videos/")}
    if form.version == "v3.0":
        assert {"meta/stats.json", "meta/tasks.parquet", "meta/episodes/chunk-000/file-000.parquet"} <= names
        assert films == ({f"videos/{key}/chunk-000/file-000.mp4" for key in _cameras(dataset)} if form.codec else set())
        return
    assert {"meta/episodes.jsonl", "meta/tasks.jsonl", "meta/episodes_stats.jsonl"} <= names
    assert {f"data/chunk-000/episode_{number:06d}.parquet" for number in range(4)} <= names
    expected = {f"videos/chunk-000/{key}/episode_{number:06d}.mp4" for key in _cameras(dataset) for number in range(4)}
    assert films == (expected if form.codec else set())
    schema = pq.read_schema(dataset.folder / "data/chunk-000/episode_000000.parquet")
    described = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert described["action"]["_type"] == "Sequence" and (KEY in described) == (not form.codec)
    (first, *_) = map(json.loads, (dataset.folder / "meta/episodes_stats.jsonl").read_text().splitlines())
    assert set(first["stats"][KEY]) == {"min", "max", "mean", "std", "count"}


def _cameras(dataset):
    return [f"observation.images.{role}" for role in dataset.roles]


def test_pictures_of_odd_sides_are_no_film(tmp_path):
    with pytest.raises(ValueError, match=r"base_0_rgb is 33 x 33 px; a film needs even sides"):
        LeRobotWriter(tmp_path / "x", make_contract(33), form=Form(codec="h264"))
    assert not list(tmp_path.iterdir())


def test_parts_of_a_film_are_taken_again_and_bytes_repeat(tmp_path):
    form, contract = Form("v2.1", "h264"), make_contract()
    trees = [write_dataset(tmp_path / name, contract, range(2), form=form) for name in ("a", "b")]
    films = [[file.read_bytes() for file in sorted(tree.rglob("*.mp4"))] for tree in trees]
    assert films[0] == films[1] and len(films[0]) == 4
    assert Dataset(trees[0]).content_hash == Dataset(trees[1]).content_hash


def test_a_config_asks_for_a_form_and_each_has_its_folder(tmp_path, capsys):
    recording = write_recording(tmp_path / "mugs")
    words = ["task=kinova", "size=tiny", f"demos.path={recording}", f"run.root={tmp_path / 'out'}"]
    usual = data_set_of(compose(words))
    films = compose([*words, "dataset.format=v2.1", "dataset.storage=video"])
    made = data_set_of(films)
    assert (made.name, made.parent) == ("lerobot-v2.1-h264", usual.parent)
    assert "h264 has lost detail" in capsys.readouterr().out
    assert Dataset(made).info["features"][KEY]["dtype"] == "video" and data_set_of(films) == made
    assert "is there already, made from the same episodes" in capsys.readouterr().out


def test_a_data_set_that_is_given_is_trained_on_as_it_is(tmp_path, capsys):
    recording = write_recording(tmp_path / "mugs")
    words = ["task=kinova", "size=tiny", f"demos.path={recording}", f"run.root={tmp_path / 'out'}"]
    some = tmp_path / "some"
    assert main(["dataset", "filter", str(data_set_of(compose(words))), str(some), "--episodes", "0,2"]) == 0
    given = compose([*words, f"dataset.path={some}"])
    places = places_of(given)
    assert make.make_demos(given, places) == make.make_data_set(given, places) == some
    assert "as it is: 2 episodes, 48 frames" in capsys.readouterr().out
    assert make.open_data_set(given, places).seeds == [0, 2] and make.is_current(given, places)
    assert make_stats.make_norm_stats(given, places) == some / "meta/pirig/norm_stats.json"
    with pytest.raises(ConfigError, match=r"dataset\.path=.* with a mix"):
        compose(["mix=push_pull", f"dataset.path={some}"])
    nothing = compose([*words, f"dataset.path={tmp_path / 'nothing'}"])
    with pytest.raises(ValueError, match=r"dataset\.path=.*no data set of pirig's there"):
        make.make_data_set(nothing, places_of(nothing))
