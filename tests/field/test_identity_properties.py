"""Two things that differ in a setting of their identity or in content are never taken for one; two that do not always are."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from pirig.files.identity import Differs, Extends, Identity, Same, compare, load

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


@settings(max_examples=200, deadline=None)
@given(made, made)
def test_two_are_the_same_exactly_where_everything_that_decides_is_equal(asked, there):
    assert isinstance(compare(asked, there), Same) == (decides(asked) == decides(there))


@settings(max_examples=100, deadline=None)
@given(made, digests, words)
def test_where_a_source_lay_and_how_a_record_came_about_change_nothing(one, places, adopted):
    assert compare(dataclasses.replace(one, places=places, adopted=adopted), one) == Same()
    assert dataclasses.replace(one, places=places, adopted=adopted).digest == one.digest


@settings(max_examples=100, deadline=None)
@given(made, st.data())
def test_one_change_of_a_setting_or_of_a_source_is_named_with_both_values(one, data):
    key = data.draw(st.sampled_from(["solver", "hold", "labels", "columns"]))
    value = data.draw(values.filter(lambda value: value != one.settings.get(key)))
    changed = compare(dataclasses.replace(one, settings={**one.settings, key: value}), one)
    assert isinstance(changed, Differs) and [difference.key for difference in changed.differences] == [key]
    assert changed.differences[0].there == one.settings.get(key)
    assert isinstance(compare(dataclasses.replace(one, made_from={**one.made_from, "source": "new"}), one), Differs)


@settings(max_examples=100, deadline=None)
@given(made, parts, st.integers(1, 3))
def test_more_at_the_end_extends_and_nothing_else_does(one, added, count):
    longer = dataclasses.replace(one, parts=(*one.parts, *added), size=one.size + count)
    assert isinstance(compare(longer, one), Extends) and isinstance(compare(one, longer), Differs)
    if one.parts:
        other = dataclasses.replace(longer, parts=("changed", *longer.parts[1:]))
        assert isinstance(compare(other, one), Differs)


@settings(max_examples=30, deadline=None)
@given(made)
def test_a_record_comes_back_from_its_file(tmp_path_factory, one):
    path = tmp_path_factory.mktemp("made") / "identity.json"
    one.save(path)
    back = load(path)
    assert back is not None and compare(one, back) == Same() and back.digest == one.digest
