"""Things of one look: a picture does not tell which of them is which, only where they are.

Their labels are learned in whichever order fits a sample best (permutation-invariant training, Yu et al. 2017,
arXiv:1607.00325): a tower that had to name each would place both between the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

MOST_ORDERS = 120  # all of them are tried in every sample; libero_90 has 96


def learned_groups(
    labels: Sequence[str], alike: Mapping[str, Sequence[str]], endings: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Of the things of each look those that have `labels`, names of a thing and one of `endings`; one alone is no group.

    Raises ValueError where things of a look have not the same labels, a thing is named twice, or there are too many orders.
    """
    things = [thing for group in alike.values() for thing in group]
    if twice := sorted({thing for thing in things if things.count(thing) > 1}):
        raise ValueError(f"alike: {twice[0]} is named twice; expected each thing once, under one look")
    learned = []
    for group in alike.values():
        ends = {thing: [end for end in endings if f"{thing}{end}" in labels] for thing in group}
        there = [thing for thing in group if ends[thing]]
        if odd := [thing for thing in there if ends[thing] != ends[there[0]]]:
            raise ValueError(
                f"alike: of {there[0]} {', '.join(ends[there[0]])} is learned and of {odd[0]} {', '.join(ends[odd[0]])}; "
                "expected the same labels of things of one look"
            )
        learned += [tuple(there)] if len(there) > 1 else []
    _orders(tuple(learned))
    return tuple(learned)


def orders(
    labels: Sequence[str], groups: Sequence[Sequence[str]], endings: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Every order in which `labels` may be taken, as places in `labels`: the first is the one that they have."""
    number = {name: at for at, name in enumerate(labels)}

    def taken(exchanged: dict[str, str]) -> tuple[int, ...]:
        order = list(range(len(labels)))
        for thing, other in exchanged.items():
            for end in endings:
                if f"{thing}{end}" in number:
                    order[number[f"{thing}{end}"]] = number[f"{other}{end}"]
        return tuple(order)

    return tuple(taken(exchanged) for exchanged in _orders(groups))


def _orders(groups: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """By thing, the one whose place it takes; as it is comes first."""
    of_each = [list(itertools.permutations(group)) for group in groups]
    count = 1
    for permuted in of_each:
        count *= len(permuted)
    if count > MOST_ORDERS:
        raise ValueError(
            f"alike: {count} orders of {list(map(list, groups))}; expected at most {MOST_ORDERS}; name fewer things of one look"
        )
    things = [thing for group in groups for thing in group]
    return [dict(zip(things, itertools.chain(*chosen), strict=True)) for chosen in itertools.product(*of_each)]
