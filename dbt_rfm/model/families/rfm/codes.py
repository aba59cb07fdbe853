"""The values of columns as codes, of which a row may have several: categories, lists of keys, words, bands of numbers.

In: a feature table. Out: per row the codes of its values, as bounds [R + 1] into one array of codes. What fewer than
two context rows have is one further code, which tells nothing; a missing category or number is a value like any other.

Shapes: R rows, P codes of all rows, K whatever is told of a code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dbt_rfm.model.families.rfm.word_scores import are_words
from dbt_rfm.model.interface import CATEGORICAL, KEYS, FeatureTable
from dbt_rfm.snapshot import BETWEEN_KEYS, OF_WORD

_BANDS = 12  # of a number
_MOST = 20_000  # values of a column, the most frequent ones
_MISSING = "\0"


@dataclass(frozen=True)
class Coded:
    bounds: np.ndarray  # [R + 1]
    codes: np.ndarray  # [P]

    @property
    def rows(self) -> np.ndarray:
        """[P] the row of each code."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    def take(self, rows: np.ndarray) -> Coded:
        """Of some of the rows [R], by a mask."""
        each = np.diff(self.bounds)
        return Coded(np.r_[0, np.cumsum(each[rows])], self.codes[np.repeat(rows, each)])

    def sums(self, told: np.ndarray) -> np.ndarray:
        """[R, K] of what is told of each code [V + 1, K]: of no code 0."""
        each = np.diff(self.bounds)
        if (each == 1).all():
            return told[self.codes]
        out = np.zeros((len(each), told.shape[1]), dtype=told.dtype)
        if len(self.codes):
            out[each > 0] = np.add.reduceat(told[self.codes], self.bounds[:-1][each > 0], axis=0)
        return out


@dataclass(frozen=True)
class Coding:
    """How columns of a table become codes, by what the context has: one column, or the words of one text."""

    positions: tuple[int, ...]  # in the table
    size: int  # how many codes there are; code `size` is all else
    code: dict[str, int] = field(default_factory=dict)  # of texts
    edges: np.ndarray = field(default_factory=lambda: np.zeros(0))  # of numbers

    @classmethod
    def of(cls, table: FeatureTable, positions: tuple[int, ...]) -> Coding:
        kind, column = table.kinds[positions[0]], table.columns[positions[0]]
        if len(positions) > 1:
            return cls(positions, len(positions))
        if kind in (KEYS, CATEGORICAL):
            counts = Counter(value for values in _texts(kind, column) for value in values)
            told = [value for value, count in counts.most_common(_MOST) if count > 1]
            return cls(positions, len(told), {value: i for i, value in enumerate(told)})
        known = column[np.isfinite(column)]
        edges = np.unique(np.quantile(known, np.arange(1, _BANDS) / _BANDS)) if len(known) else np.zeros(0)
        return cls(positions, len(edges) + 2, edges=edges)

    def __call__(self, table: FeatureTable) -> Coded:
        kind, column = table.kinds[self.positions[0]], table.columns[self.positions[0]]
        if len(self.positions) > 1:
            rows, codes = np.nonzero(np.stack([table.columns[j] for j in self.positions], 1) == 1)
            return Coded(np.searchsorted(rows, np.arange(table.num_rows + 1)), codes)
        if kind in (KEYS, CATEGORICAL):
            each = [[self.code.get(value, self.size) for value in values] for values in _texts(kind, column)]
            bounds = np.r_[0, np.cumsum([len(codes) for codes in each], dtype=np.int64)]
            return Coded(bounds, np.array([code for codes in each for code in codes], dtype=np.int64))
        band = np.searchsorted(self.edges, np.nan_to_num(column)) + 1
        return Coded(np.arange(len(column) + 1), np.where(np.isfinite(column), band, 0))


def codings_of(table: FeatureTable) -> Iterator[Coding]:
    """One per column, but the words of a text in one."""
    words: dict[str, list[int]] = {}
    for j, is_word in enumerate(are_words(table)):
        if is_word:
            words.setdefault(table.names[j].partition(OF_WORD)[0], []).append(j)
        else:
            yield Coding.of(table, (j,))
    yield from (Coding.of(table, tuple(positions)) for positions in words.values())


def _texts(kind: str, column: np.ndarray) -> Iterator[list[str]]:
    if kind == KEYS:
        return ([] if value is None else value.split(BETWEEN_KEYS) for value in column)
    return ([_MISSING if value is None else str(value)] for value in column)
