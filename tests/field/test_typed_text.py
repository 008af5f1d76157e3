"""Free text and paths go through as they were typed: command line, sweeps, YAML, saved configs."""

import pytest
import yaml

from pirig.cli import main
from pirig.config import texts
from pirig.config.command_line import rewrite
from pirig.config.load import compose, of_run
from pirig.config.places import places_of
from pirig.runs.record import _saved_config, open_run

PROMPTS = [
    "Pick up the mug, then place it.",
    "Don't drop the mug",
    "Stelle die Tasse für mich hin",
    "Pick (gently) the mug",
    "Place it; then stop",
    "把杯子放下",
    'the "red" mug',
    "'half a quote",
    '"half',
    "it's \\' odd",
    "C:\\data\\",
    "a=b, c=d",
    "[a]",
    "{a: b}",
    "~x",
    "2026_11_25",
    "1e3",
    "010",
    "0x10",
    "no",
    "true",
    "null",
    "nan",
    "choice(a,b)",
    "100 %",
    "#1",
    "$HOME",
    "line\nbreak",
    "a:b",
]


@pytest.mark.parametrize("text", PROMPTS)
def test_a_text_arrives_as_typed_and_a_run_has_it_still(tmp_path, text):
    config = compose([f"run.root={tmp_path}", "run.name=one", f"task.prompt={text}", f"train.project={text}"])
    assert config.task.prompt == text == config.train.project
    folder = open_run(config, places_of(config))
    assert of_run(folder, []).task.prompt == text == _saved_config(folder / "config.yaml")["train"]["project"]
    assert of_run(folder, [f"task.prompt={text}!"]).task.prompt == f"{text}!"


@pytest.mark.parametrize("name", ["data, [old] ü~/it's=1", "2026_11_25", "~tilde", "a b"])
def test_a_path_arrives_as_typed(name):
    config = compose([f"demos.path=/mnt/{name}/x.h5", f"run.root={name}", f"weights=/w/{name}", "size=full"])
    assert (config.demos.path, config.run.root, config.weights.path) == (f"/mnt/{name}/x.h5", name, f"/w/{name}")


def test_home_is_where_it_is(monkeypatch, tmp_path):
    """A shell leaves ~ alone after `demos.path=`; a folder of that name here goes first."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert compose(["run.root=~/runs"]).run.root == f"{tmp_path}/runs"
    (tmp_path / "~" / "runs").mkdir(parents=True)
    assert compose(["run.root=~/runs"]).run.root == "~/runs"


def test_quotes_around_the_whole_are_the_users_and_null_is_none():
    config = compose(["task.prompt='Pick, up'", 'train.project="a, b"', "demos.path=null"])
    assert (config.task.prompt, config.train.project, config.demos.path) == ("Pick, up", "a, b", None)


def test_interpolations_and_lists_are_what_they_were():
    config = compose(
        ["run.name=${task.name}-it's", "gates.skip=[acts, chunk]", "tower.warm_up.labels=[a[0:8], 'b, c']"]
    )
    assert config.run.name == "push_cube-it's" and config.gates.skip == ["acts", "chunk"]
    assert config.tower.warm_up.labels == ["a[0:8]", "b, c"]
    shared = compose(["task.unseen=[goal, 'the mug']", "tower.warm_up.unseen=${task.unseen}"])
    assert shared.tower.warm_up.unseen == ["goal", "the mug"]
    assert texts.type_of("demos.state_columns") == list[str]  # an older key is of its new one's type
    assert compose(["gates.skip=acts"]).gates.skip == ["acts"]


def test_a_comma_parts_values_with_m_and_only_there(capsys):
    assert rewrite(["run.name=1_0,10"]) == ["run.name='1_0,10'"]
    assert rewrite(["-m", "run.name=1_0,10"]) == ["-m", "run.name='1_0','10'"]
    assert rewrite(["task.prompt=don't, 'a, b'", "-m"])[1] == r"task.prompt='don\'t','a, b'"
    rewrite(["-m", "task.prompt=Pick up, then place"])
    assert "-m takes 2 values, parted at each comma: Pick up | then place" in capsys.readouterr().err
    assert rewrite(["-m", "state.entries=[qpos9],[qpos8]"])[1] == "state.entries=['qpos9'],['qpos8']".replace("'", "")
    assert rewrite(["-m", "run.name=choice(a,b)", "train.seed=0,1"])[1:] == ["run.name=choice(a,b)", "train.seed=0,1"]


def test_points_whose_names_are_numbers_alike_stay_two(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "-m", "run.name=1_0,10,1e1", "sweep.dry_run=true"]) == 0
    shown = capsys.readouterr().out
    assert "points: 3 (3 start)" in shown and "1_0" in shown and "1e1" in shown


@pytest.mark.parametrize("word", ["no", "on", "off", "2026_11_25", "1e3", "007", "1.50", "yes", "~"])
def test_a_yaml_means_the_word_that_stands_there(tmp_path, word):
    """YAML 1.1 makes booleans and numbers of these; ~ alone is its null."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "task").mkdir()
    text = f"# @package _global_\ntrain: {{project: {word}}}\nrun: {{name: {word}}}\ntower: {{warm_up: {{labels: [{word}]}}}}\n"
    (tmp_path / "experiment" / "e.yaml").write_text(text)
    (tmp_path / "task" / "t.yaml").write_text(
        f"name: t\nenv_id: PushCube-v1\nsolver: solvePushCube\ngoal_visible: true\nprompt: {word}\n"
    )
    words = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=e", "task=t"]
    if word == "~":
        with pytest.raises(Exception, match=r"Incompatible value .None. for field of type .str."):
            compose(words)
        return
    config = compose(words)
    assert [config.train.project, config.run.name, config.task.prompt] == 3 * [word]
    assert config.tower.warm_up.labels == [word]


def test_what_is_no_text_is_read_as_before(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("train: {augment: no, steps: 1_000, project: no}\nunknown: no\n")
    assert texts.load(file) == {"train": {"augment": False, "steps": 1000, "project": "no"}, "unknown": False}
    assert yaml.safe_load(file.read_text())["train"]["project"] is False  # what the loader alone makes of it
