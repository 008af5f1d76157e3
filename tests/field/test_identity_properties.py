"""Two things that differ in a setting of their identity or in content are never taken for one; two that do not always are."""

import dataclasses
import functools
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pirig.config.load import compose
from pirig.config.places import places_of
from pirig.demos.maniskill import generate
from pirig.evaluation.target import result_settings, results_folder
from pirig.files.identity import Differs, Extends, Identity, Same, compare, load
from pirig.runs.identity import run_id


def quick(examples):
    """Also where the machine is busy."""
    busy = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=examples, deadline=None, suppress_health_check=busy)


words = st.text("abcxyz0123456789-_ ./", max_size=6)
values = st.one_of(st.integers(-3, 3), words, st.booleans(), st.floats(allow_nan=False), st.lists(st.integers(0, 3)))
plain = st.dictionaries(st.sampled_from(["solver", "hold", "labels", "columns"]), values, max_size=4)
digests = st.dictionaries(st.sampled_from(["data set", "norm stats", "start weights"]), words, max_size=3)
parts = st.lists(st.text("0123456789abcdef", min_size=1, max_size=4), max_size=5).map(tuple)
made = st.builds(
    Identity,
    kind=st.sampled_from(["demos", "data set", "run"]),
    made_from=digests,
    settings=plain,
    parts=parts,
    size=st.integers(0, 4),
    code=st.integers(1, 2),
    places=digests,
    adopted=words,
)


def decides(one: Identity) -> tuple:
    """Written here again, by hand: all that may make two things different."""
    told = [(key, isinstance(value, bool), value) for key, value in sorted(one.settings.items())]
    return one.kind, one.code, sorted(one.made_from.items()), told, one.parts, one.size


@quick(100)
@given(made, made)
def test_two_are_the_same_exactly_where_everything_that_decides_is_equal(asked, there):
    assert isinstance(compare(asked, there), Same) == (decides(asked) == decides(there))


@quick(100)
@given(made, digests, words)
def test_where_a_source_lay_and_how_a_record_came_about_change_nothing(one, places, adopted):
    assert compare(dataclasses.replace(one, places=places, adopted=adopted), one) == Same()
    assert dataclasses.replace(one, places=places, adopted=adopted).digest == one.digest


@quick(100)
@given(made, st.data())
def test_one_change_of_a_setting_or_of_a_source_is_named_with_both_values(one, data):
    key = data.draw(st.sampled_from(["solver", "hold", "labels", "columns"]))
    value = data.draw(values.filter(lambda value: value != one.settings.get(key)))
    changed = compare(dataclasses.replace(one, settings={**one.settings, key: value}), one)
    assert isinstance(changed, Differs) and [difference.key for difference in changed.differences] == [key]
    assert changed.differences[0].there == one.settings.get(key)
    assert isinstance(compare(dataclasses.replace(one, made_from={**one.made_from, "source": "new"}), one), Differs)


@quick(100)
@given(made, parts, st.integers(1, 3))
def test_more_at_the_end_extends_and_nothing_else_does(one, added, count):
    longer = dataclasses.replace(one, parts=(*one.parts, *added), size=one.size + count)
    assert isinstance(compare(longer, one), Extends) and isinstance(compare(one, longer), Differs)
    if one.parts:
        other = dataclasses.replace(longer, parts=("changed", *longer.parts[1:]))
        assert isinstance(compare(other, one), Differs)


@quick(30)
@given(made)
def test_a_record_comes_back_from_its_file(tmp_path_factory, one):
    path = tmp_path_factory.mktemp("made") / "identity.json"
    one.save(path)
    back = load(path)
    assert back is not None and compare(one, back) == Same() and back.digest == one.digest


@functools.cache
def usual():
    return compose(["task=push_cube", "camera=close", "weights=scratch", "size=tiny"])


# of each key two values beside the usual one; DATA: what demos and data set are made from, RUN: what a run is besides
DATA = {
    "task.hold_steps": (4, 9),
    "task.solver": ("solvePullCube", "solveStackCube"),
    "task.prompt": ("Push it.", "push it."),
    "demos.first_seed": (7, 70),
    "demos.count": (3, 30),
    "demos.labels": (True,),
    "demos.start_spread_rad": (0.1, 0.2),
    "demos.disturb": (0.5, 1.0),
    "demos.disturb_held": (0.5, 1.0),
    "control.control_hz": (10,),
    "control.shader": ("rt",),
    "camera.show_goal": (True,),
    "size.resize": ("crop",),
}
RUN = {
    "train.seed": (1, 2),
    "train.batch_size": (4,),
    "train.steps": (10,),
    "train.ema": (0.0,),
    "schedule.peak_lr": (1e-3,),
    "horizon.steps": (8,),
    "finetune.freeze_vision": (True,),
}
EVALUATION = {
    "eval.execute": (4,),
    "eval.flow_steps": (5,),
    "eval.seed": (1, 2),
    "eval.first_seed": (200_000,),
    "eval.step_margin": (2.0,),
    "eval.batch_size": (2,),
}
NOTHING = {
    "demos.workers": (1, 9),
    "demos.max_tries": (500,),
    "eval.workers": (1,),
    "eval.videos": (0,),
    "eval.episodes": (9,),
    "train.log_every": (1,),
    "train.wandb": ("offline",),
    "train.save_every": (7,),
    "run.mode": ("resume",),
    "gates.skip": (["images"],),
}


RUN_TOO = {"demos.max_tries": ()}  # it may decide how many demos there are, and always was in a run's id


def changed(config, words):
    for key, value in words.items():
        group, name = key.split(".")
        config = dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **{name: value})})
    return config


def some_of(*tables):
    keys = {key: values for table in tables for key, values in table.items()}
    chosen = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in keys.items()})
    return chosen.filter(lambda words: len(words) <= 3)


def only(words, *tables):
    return {key: value for key, value in words.items() if any(key in table for table in tables)}


everything = some_of(DATA, RUN, EVALUATION, NOTHING)


@quick(60)
@given(everything, everything)
def test_two_configs_share_demos_runs_and_results_exactly_where_they_ask_for_the_same(one, other):
    first, second = (changed(usual(), words) for words in (one, other))
    places = [places_of(config) for config in (first, second)]
    asked = [
        generate.asked_of(place.contract, generate.planned_by(config.task, config.demos), config.demos)
        for place, config in zip(places, (first, second), strict=True)
    ]
    same_demos = places[0].data == places[1].data and compare(*asked) == Same()
    assert same_demos == (only(one, DATA) == only(other, DATA))
    assert (run_id(first) == run_id(second)) == (only(one, DATA, RUN, RUN_TOO) == only(other, DATA, RUN, RUN_TOO))
    results = [
        results_folder(
            Path("eval"), Path("100"), result_settings(config, Path("100"), round(60 * config.eval.step_margin))
        )
        for config in (first, second)
    ]
    seeds = first.train.seed == second.train.seed
    assert (results[0] == results[1]) == (only(one, EVALUATION) == only(other, EVALUATION) and seeds)


def test_true_is_not_one_and_one_is_one_point_zero():
    made = Identity("run", settings={"value": 1})
    assert compare(Identity("run", settings={"value": 1.0}), made) == Same()
    assert isinstance(compare(Identity("run", settings={"value": True}), made), Differs)
