"""Whether the values of a column are grades of a measure: `inactive` up to some day of the last order, `active` after.

In: values, and one number of the measure for each. Out: the share of the rows beyond the most frequent value that the
measure tells by thresholds. Nothing is fitted but the order of the values: rows are sorted by the measure, and what is
not in the longest run of grades that only rise is an error. Of rows with equal measures one grade can be right.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

_MOST = 50  # values of a scale of grades


def told_by(values: Sequence[Hashable], measure: Sequence[float]) -> tuple[float, int]:
    """(share of the rows beyond the most frequent value that the measure tells, how many those rows are).

    The values are put in the order of their mean place by the measure. (0, 0) where there are more than fifty.
    """
    if len(set(values)) > _MOST:
        return 0.0, 0
    ranks = _ranks(values, measure)
    return _told([ranks[value] for value in values], measure)


def told_by_number(values: Sequence[float], measure: Sequence[float]) -> tuple[float, int]:
    """The same for numbers, which have to rise with the measure, or to fall."""
    return max(_told(values, measure), _told([-value for value in values], measure))


def _told(grades: Sequence[float], measure: Sequence[float]) -> tuple[float, int]:
    beyond = len(grades) - max(Counter(grades).values(), default=0)
    return (max(0.0, 1 - _errors(grades, measure) / beyond), beyond) if beyond else (0.0, 0)


def _ranks(values: Sequence[Hashable], measure: Sequence[float]) -> dict[Hashable, int]:
    """The values by their mean place among rows sorted by the measure."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, row in enumerate(sorted(range(len(values)), key=measure.__getitem__)):
        places[values[row]].append(place)
    means = {value: sum(found) / len(found) for value, found in places.items()}
    return {value: rank for rank, value in enumerate(sorted(means, key=lambda value: (means[value], str(value))))}


def _errors(grades: Sequence[float], measure: Sequence[float]) -> int:
    """How many rows are not in the longest sequence of grades that does not fall, among rows sorted by the measure."""
    ordered = sorted(zip(measure, (-grade for grade in grades), strict=True))  # falling where the measure is equal
    ends: list[float] = []  # the least end of such a sequence, by its length
    for _, falling in ordered:
        at = bisect_right(ends, -falling)
        ends[at : at + 1] = [-falling]
    return len(grades) - len(ends)
