"""A feature table as one matrix of numbers, by what its context rows hold.

Numbers are centred and scaled in float64 before they become float32, so that times and large keys keep their order.
They are rounded to a billionth of the column's scale: a sum that equals the median but was added up in another order
would else rank above or below it, and screening and trees make much of ranks. Infinite values count as missing.
Categories get codes by falling frequency in the context; every category the context does not have shares one further
code, which no context row carries: the network sees that it is new.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.interface import CATEGORICAL, FeatureTable, require_columns

_DIGITS = 9


@dataclass(frozen=True)
class ColumnCodes:
    names: tuple[str, ...]
    categorical: np.ndarray  # [C] bool
    centres: np.ndarray  # [C]
    scales: np.ndarray  # [C]
    categories: tuple[dict[str, int], ...]  # per column; empty for a numerical one

    @classmethod
    def of(cls, context: FeatureTable) -> ColumnCodes:
        categorical = np.array([kind == CATEGORICAL for kind in context.kinds], dtype=bool)
        centres, scales, categories = np.zeros(len(categorical)), np.ones(len(categorical)), []
        for j, column in enumerate(context.columns):
            if categorical[j]:
                counts = Counter(str(value) for value in column if value is not None)
                ranked = sorted(counts, key=lambda value: (-counts[value], value))
                categories.append({value: code for code, value in enumerate(ranked)})
                continue
            categories.append({})
            centres[j], scales[j] = _centre_and_scale(column)
        return cls(context.names, categorical, centres, scales, tuple(categories))

    def matrix(self, table: FeatureTable) -> np.ndarray:
        """[R, C] float32. Raises ModelError if the table has other columns than the context."""
        require_columns(table.names, self.names)
        out = np.empty((table.num_rows, len(self.names)), dtype=np.float32)
        for j, column in enumerate(table.columns):
            if self.categorical[j]:
                new = len(self.categories[j])
                codes = [np.nan if v is None else self.categories[j].get(str(v), new) for v in column]
                out[:, j] = codes
            else:
                scaled = (_finite(column) - self.centres[j]) / self.scales[j]
                out[:, j] = np.round(np.clip(scaled, -1e30, 1e30), _DIGITS)
        return out


def _centre_and_scale(column: np.ndarray) -> tuple[float, float]:
    """The median of what is finite and the mean distance from it, 1 if there is none."""
    known = np.asarray(column, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 1.0
    centre = float(np.partition(known, len(known) // 2)[len(known) // 2])
    return centre, float(np.abs(known - centre).mean()) or 1.0


def _finite(column: np.ndarray) -> np.ndarray:
    values = np.asarray(column, dtype=np.float64)
    return np.where(np.isinf(values), np.nan, values)
