"""Which values of a sweep contradict each other, and the paired axis that leaves those points out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

Words = tuple[str, ...]


def explain(points: Sequence[Words], broken: Mapping[int, str]) -> str:
    """`broken`: why, by the number of the point. One entry for each smallest set of values whose every point is broken."""
    reasons: dict[Words, str] = {}
    for number, why in broken.items():
        for blamed in _blamed(points, broken, number):
            reasons.setdefault(blamed, why)
    if len(broken) == len(points) and len(set(broken.values())) == 1:
        return f"every point contradicts itself:\n    {next(iter(broken.values()))}"
    lines = [f"{len(broken)} of {len(points)} points contradict themselves:"]
    lines += [f"  {' with '.join(blamed)}\n    {why}" for blamed, why in reasons.items()]
    return "\n".join([*lines, *_offers(points, [blamed for blamed in reasons if len(blamed) == 2])])


def _blamed(points: Sequence[Words], broken: Mapping[int, str], number: int) -> list[Words]:
    """The values, or else the pairs of values, that no good point has; the whole point where there are none."""
    common = set(points[0]).intersection(*points)
    own = [word for word in points[number] if word not in common]
    for size in (1, 2):
        sets = [words for words in itertools.combinations(own, size) if _is_always_broken(points, broken, words)]
        if sets:
            return sets
    return [tuple(own)]


def _is_always_broken(points: Sequence[Words], broken: Mapping[int, str], words: Words) -> bool:
    return all(number in broken for number, point in enumerate(points) if set(words) <= set(point))


def _offers(points: Sequence[Words], pairs: Sequence[Words]) -> Iterator[str]:
    """For every two keys with contradictions, the axis of the values that go together."""
    for keys in dict.fromkeys(tuple(map(_key, pair)) for pair in pairs):
        met = dict.fromkeys(tuple(word for word in point if _key(word) in keys) for point in points)
        good = [" ".join(words) for words in met if words not in pairs]
        if good:
            yield f"Leave them out with one axis in place of {' and '.join(keys)}: pair='{' | '.join(good)}'"


def _key(word: str) -> str:
    return word.partition("=")[0]
