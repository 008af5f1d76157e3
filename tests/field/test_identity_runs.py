"""A run is known by what it was made from, wherever it lies and however it is typed; an evaluation by its checkpoint."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.config.load import compose, of_run
from pirig.config.places import places_of
from pirig.datasets import make, make_stats
from pirig.evaluation.target import is_measured, target_of
from pirig.files.identity import IdentityError
from pirig.policies.card import PolicyCard
from pirig.runs.progress import newest_checkpoint
from pirig.runs.record import open_run, set_status
from pirig.stages.entry import require_startable
from pirig.sweeps.plan import make_plan
from pirig.sweeps.points import Point, read_points
from pirig.training import identity
from pirig.transforms.normalize import save_norm_stats
from tests.comparison.run_folders import RunFolders
from tests.datasets.kinova_recordings import make_recording, write_recording

OLD = Path(__file__).parents[1] / "compatibility" / "made_at_8868f2d" / "outputs"


class Run:
    """A run of a recording with one checkpoint, whose weights are a few bytes."""

    def __init__(self, top, *words):
        self.top, self.recording = top, top / "rec"
        self.record([0, 1, 2])
        asked = [
            "task=kinova",
            "size=tiny",
            "weights=scratch",
            f"demos.path={self.recording}",
            f"run.root={top / 'out'}",
        ]
        self.config = compose([*asked, "run.name=r", "train.steps=4", "horizon=8", "run.mode=resume", *words])
        self.places = places_of(self.config)
        self.convert()
        open_run(self.config, self.places)
        self.save_checkpoint(2, b"weights")

    def record(self, seeds):
        shutil.rmtree(self.recording, ignore_errors=True)
        write_recording(self.recording, episodes=[make_recording(seed, 12) for seed in seeds])

    def convert(self):
        make.make_data_set(self.config, self.places)
        make_stats.make_norm_stats(self.config, self.places)

    def made(self, config=None):
        dataset = make.open_data_set(self.config, self.places)
        stats = identity.stats_in_use(self.config, self.places, dataset)
        return identity.asked_of(config or self.config, self.places, dataset, stats)

    def save_checkpoint(self, step, weights, record=True):
        dataset = make.open_data_set(self.config, self.places)
        checkpoint = self.places.checkpoints / str(step)
        assets = checkpoint / "assets/pirig"
        assets.mkdir(parents=True)
        (checkpoint / "params").mkdir()
        (checkpoint / "params/d").write_bytes(weights)
        card = PolicyCard({"action_horizon": 8}, "quantile", True, "none")
        card = dataclasses.replace(card, demo_lengths=tuple(dataset.lengths), demo_seeds=tuple(dataset.seeds))
        card.save(assets)
        save_norm_stats(assets / "norm_stats.json", identity.stats_in_use(self.config, self.places, dataset))
        self.places.contract.save(assets)
        if record:
            self.made().save(assets / "identity.json")
        return checkpoint


@pytest.mark.parametrize("recorded", [True, False], ids=["with a record", "from before there were records"])
@pytest.mark.parametrize("share", [0.0, 0.4], ids=["all train", "some held out"])
def test_resumed_on_data_that_was_made_again_is_refused_with_both(tmp_path, recorded, share):
    run = Run(tmp_path, f"train.validation_share={share}")
    if not recorded:
        (run.places.checkpoints / "2/assets/pirig/identity.json").unlink()
    require_startable(run.config, run.places)
    shutil.rmtree(run.places.data)
    run.record([5, 6, 7])
    run.convert()
    before = {path: path.stat().st_mtime_ns for path in run.places.run.rglob("*")}
    expected = r"(?s)norm stats: .* then, .* now.*run\.name=.*run\.mode=overwrite"
    with pytest.raises(IdentityError, match=expected) as refused:
        require_startable(run.config, run.places)
    assert ("data set: " in str(refused.value)) == recorded
    assert {path: path.stat().st_mtime_ns for path in run.places.run.rglob("*")} == before
    overwrite = dataclasses.replace(run.config, run=dataclasses.replace(run.config.run, mode="overwrite"))
    require_startable(overwrite, run.places)  # as advised


def test_the_same_data_made_again_elsewhere_resumes(tmp_path):
    run = Run(tmp_path)
    shutil.rmtree(run.places.data)
    run.recording.rename(tmp_path / "moved")
    (tmp_path / "again").mkdir()
    (tmp_path / "moved").rename(tmp_path / "again" / "rec")
    demos = dataclasses.replace(run.config.demos, path=str(tmp_path / "again" / ".." / "again" / "rec"))
    run.config = dataclasses.replace(run.config, demos=demos)
    run.convert()
    require_startable(run.config, run.places)
    open_run(run.config, run.places)  # another spelling of demos.path is no other setting


@pytest.mark.parametrize(
    "words", [("train.seed=1",), ("schedule.peak_lr=1e-4",), ("train.batch_size=5",), ("train.ema=0",)]
)
def test_a_checkpoint_of_other_settings_is_another_one(tmp_path, words):
    run = Run(tmp_path)
    other = compose(["task=kinova", "size=tiny", "weights=scratch", f"demos.path={run.recording}",
                     f"run.root={tmp_path / 'out'}", "run.name=r", "train.steps=4", "horizon=8", *words])  # fmt: skip
    with pytest.raises(IdentityError, match=r"settings: .* then, .* now"):
        identity.require_same(run.made(other), newest_checkpoint(run.places.run))


def test_start_weights_are_known_by_content_and_not_needed_again(tmp_path):
    run = Run(tmp_path)
    weights = tmp_path / "weights"
    (weights / "params").mkdir(parents=True)
    (weights / "params/d").write_bytes(b"pretrained")
    started = dataclasses.replace(run.config, weights=dataclasses.replace(run.config.weights, path=str(weights)))
    made = run.made(started)
    checkpoint = run.places.checkpoints / "2"
    made.save(checkpoint / "assets/pirig/identity.json")
    moved = weights.rename(tmp_path / "mirror")
    assert identity.require_same(run.made(started), checkpoint).made_from == made.made_from  # gone: its own are taken
    path = dataclasses.replace(started.weights, path=str(moved))
    assert identity.require_same(run.made(dataclasses.replace(started, weights=path)), checkpoint)
    (moved / "params/d").write_bytes(b"fine-tuned")
    with pytest.raises(IdentityError, match=rf"start weights: .*{weights}.* then, .*{moved}.* now"):
        identity.require_same(run.made(dataclasses.replace(started, weights=path)), checkpoint)


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """A run folder that an older version evaluated; its checkpoint's weights are a few bytes."""
    shutil.copytree(OLD, tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    folder = next((tmp_path / "outputs/smoke").iterdir())
    return Path("outputs/smoke") / folder.name


def target(folder, *words):
    config = of_run(folder, list(words))
    places = places_of(config)
    checkpoint = newest_checkpoint(places.run)
    return target_of(config, places, checkpoint, PolicyCard.load(checkpoint).demo_lengths)


def test_an_old_evaluation_is_found_from_everywhere_and_after_a_move(evaluated, monkeypatch):
    (results,) = evaluated.glob("eval/step10-*")
    assert target(evaluated).folder == results
    assert target(evaluated.absolute()).folder == results.absolute()
    assert target(Path("outputs") / ".." / evaluated).folder.resolve() == results.resolve()
    moved = evaluated.rename(evaluated.with_name("renamed"))
    assert target(moved).folder == moved / "eval" / results.name
    monkeypatch.chdir(moved)
    assert target(Path(".")).folder.samefile(Path("eval") / results.name)
    monkeypatch.chdir("..")
    assert target(Path("renamed")).folder.samefile(Path("renamed/eval") / results.name)


@pytest.mark.parametrize(
    "words", [("eval.execute=4",), ("eval.flow_steps=3",), ("eval.seed=1",), ("eval.first_seed=100001",)]
)
def test_an_evaluation_of_other_settings_lies_elsewhere(evaluated, words):
    assert target(evaluated, *words).folder != target(evaluated).folder
    assert target(evaluated, "eval.episodes=9", "eval.workers=1", "eval.videos=0").folder == target(evaluated).folder


def test_an_evaluation_knows_the_weights_that_it_measured(evaluated):
    first = target(evaluated)
    first.enter("resume")
    assert target(evaluated).folder == first.folder
    weights = next(path for path in (evaluated / "checkpoints/10/params").rglob("*") if path.is_file())
    weights.write_bytes(weights.read_bytes() + b"\0")
    other = target(evaluated)
    assert other.folder != first.folder and not other.folder.exists()
    config = of_run(evaluated, ["train.steps=10"])
    assert not is_measured(config, places_of(config))


def test_a_run_that_was_moved_away_finds_its_data(tmp_path, monkeypatch):
    run = Run(tmp_path)
    run.made().save(run.places.run / "identity.json")
    (tmp_path / "archive" / "best").mkdir(parents=True)
    moved = Path(shutil.move(run.places.run, tmp_path / "archive" / "best"))
    places = places_of(of_run(moved, []))
    assert places.run == moved and places.data_set.samefile(run.places.data_set)
    monkeypatch.chdir(moved)
    assert places_of(of_run(Path("."), [])).data_set.samefile(run.places.data_set)


def test_a_repeat_is_not_tested_against_itself(tmp_path):
    folders = RunFolders(tmp_path / "outputs")
    one = folders.write("one", policy=(12, 40))
    (first,) = one.glob("eval/*")
    shutil.copytree(first, first.with_name("step120-def456"))
    other = folders.write("other", {"train.seed": 1}, policy=(20, 40))
    comparison = Comparison(collect([one, other]))
    assert len(comparison.rows) == 3 and len(comparison.pairs) == 2
    settings = json.loads((first / "settings.json").read_text())
    (first / "settings.json").write_text(json.dumps(settings | {"execute": 3}))
    assert len(Comparison(collect([one, other])).pairs) == 3  # executed otherwise, it is another measurement


def nobody(folder, stage):
    return None


@pytest.fixture(scope="module")
def base():
    return compose(["experiment=smoke", "demos.count=4", "run.experiment=e", "run.name=base"])


def finished(base, root):
    """A point whose run has its last checkpoint."""
    config = dataclasses.replace(base, run=dataclasses.replace(base.run, root=str(root)))
    folder = open_run(config, places_of(config))
    (folder / "checkpoints" / str(config.train.steps)).mkdir(parents=True)
    set_status(folder, "train", "done")
    return config


@pytest.mark.parametrize("part", [("schedule", "peak_lr", 0.5), ("train", "batch_size", 4), ("train", "seed", 9)])
def test_a_sweep_does_not_call_a_run_of_other_settings_done(base, tmp_path, part):
    config, (group, key, value) = finished(base, tmp_path), part
    same = Point(config, ("train.seed=0",))
    assert make_plan("train", [same], nobody).states == ["done"]
    changed = dataclasses.replace(getattr(config, group), **{key: value})
    other = Point(dataclasses.replace(config, **{group: changed}), (f"{group}.{key}={value}",))
    with pytest.raises(
        ValueError, match=rf"(?s){group}\.{key}={value} .*{group}\.{key}: .* then, {value} now.*run\.mode=overwrite"
    ):
        make_plan("train", [other], nobody)


def test_a_sweep_honours_overwrite(base, tmp_path):
    config = finished(base, tmp_path)
    overwrite = dataclasses.replace(config, run=dataclasses.replace(config.run, mode="overwrite"))
    plan = make_plan("train", [Point(overwrite, ("run.mode=overwrite",))], nobody)
    assert plan.states == ["start"] and plan.overwritten == [places_of(config).run] and len(plan.tasks) == 1


def test_two_points_do_not_make_one_data_set_from_two_files(tmp_path):
    from omegaconf import OmegaConf

    def composed(words):
        config = compose([*words, "weights=scratch", "task=push_cube", f"run.root={tmp_path}"])
        return OmegaConf.structured(config)

    files = [(f"demos.path={tmp_path / name / 'trajectory.h5'}",) for name in ("first", "second")]
    with pytest.raises(ValueError, match=r"(?s)would both make .*trajectory.*first/trajectory.*second/trajectory"):
        read_points(files, composed)
    counts = [("demos.count=3", *files[0]), ("demos.count=5", *files[0])]
    with pytest.raises(ValueError, match=r"demos\.count: 3 and 5"):
        read_points(counts, composed)
    assert len(read_points([("task.hold_steps=0",), ("task.hold_steps=5",)], composed)) == 2
    held = [point.places.data.name for point in read_points([("task.hold_steps=0",), ("task.hold_steps=5",)], composed)]
    assert len(set(held)) == 2


def test_a_resume_by_another_setting_names_the_key_and_both_values(tmp_path):
    run = Run(tmp_path)
    open_run(run.config, run.places)
    longer = dataclasses.replace(run.config, train=dataclasses.replace(run.config.train, steps=6))
    with pytest.raises(ValueError, match=r"(?s)train\.steps.*4.*6.*run\.name="):
        require_startable(longer, run.places)
