"""Of the schema's real keys: which made things each of them decides is written down, and two configs share one exactly where
they agree in the keys that decide it."""

import functools
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.field.identity_keys import BASES, base, decided_by, keys, made, others
from tests.field.test_identity_properties import quick

TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
# they count only where another key says so: the table has them beside that key's value, no pair does
DEPENDENT = {"demos.disturb", "demos.disturb_rad", "demos.disturb_held", "demos.disturb_held_rad", "demos.path",
             "eval.sim_backend", "eval.num_envs", "eval.max_steps", "robot.simulated", "dataset.codec", "tower.name"}  # fmt: skip


def written(name):
    """{key: the made things that it decides}."""
    return {key: things.split() for things, told in TABLE[name].items() for key in told}


@pytest.mark.parametrize("name", BASES)
def test_what_every_key_decides_is_written_down(name):
    """A new key is put into the table by who adds it: what is made from it?"""
    found = {key: decided_by(name, key) for key in keys()}
    found = {key: ["not-asked"] if things is None else things or ["nothing"] for key, things in found.items()}
    expected = written(name)
    assert found == expected, {
        key: (things, expected.get(key)) for key, things in found.items() if expected.get(key) != things
    }
    assert set(expected) == set(keys())


def test_a_thing_that_is_made_of_another_is_another_where_that_one_is():
    """Demos make the data set, that one its statistics, and everything that trains makes a run."""
    below = {"demos": "data-set", "data-set": "norm-stats", "norm-stats": "run", "scenes": "tower", "tower": "run"}
    for key, things in written("planned").items():
        for thing in things if key != "run.root" else ():  # a place
            above = below.get(thing)
            assert above is None or above in things, (key, thing)


@functools.cache
def of(name, key):
    return [place for place, change in enumerate(others(name, key)) if _holds(change, name)]


def _holds(change, name):
    try:
        made(change(base(name)))
    except (ValueError, KeyError, TypeError):
        return False
    return True


ASKED = [key for key, things in written("planned").items() if things != ["not-asked"] and key not in DEPENDENT]
some = st.lists(st.sampled_from(ASKED), max_size=3, unique=True)


def changed(chosen, place):
    config = base("planned")
    for key in chosen:
        places = of("planned", key)
        config = others("planned", key)[places[place % len(places)]](config)
    return config


@quick(25)
@given(some, some, st.integers(0, 1), st.integers(0, 1))
def test_two_configs_share_a_thing_exactly_where_they_agree_in_what_decides_it(one, other, first, second):
    try:
        ours, theirs = made(changed(one, first)), made(changed(other, second))
    except (ValueError, KeyError, TypeError):
        return  # two values that their room refuses together
    told = {key: (of("planned", key) or [0]) for key in [*one, *other]}
    asked = [
        {key: told[key][place % len(told[key])] for key in chosen} for chosen, place in ((one, first), (other, second))
    ]
    table = written("planned")
    for thing in ours:
        decides = [{key: value for key, value in chosen.items() if thing in table[key]} for chosen in asked]
        assert (ours[thing] == theirs[thing]) == (decides[0] == decides[1]), (thing, decides)
