"""Examples of entities of whom nothing is known, made of examples of those that are.

A context is drawn from entities with a past, as a rule all of them; what is asked includes newcomers. Nothing in such a
context shows what an empty past means: a line goes on to zero of every count, trees follow the largest gap. So some
examples are read once more with all that happened taken away: what is the entity's own, its parents and the calendar
stays, and so does the label. For entities that are known these rows are a twentieth of the context.

In: features of a plan, or labelled examples. Out: what a column holds where nothing happened; the examples with more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from dbt_rfm.model.interface import CATEGORICAL, FeatureTable, Labelled
from dbt_rfm.snapshot import Feature

_SHARE = 0.05
_EVENTS = ("child", "co-parent")  # sources of features that are null, or 0 of a count, without rows of the entity
_COUNT = re.compile(r"\.count\.(all|\d+[a-z]+)(#\d+)?$|^past\.count$")


def blanks(features: Iterable[Feature]) -> dict[int, float]:
    """Positions of the columns that tell what happened to the entity -> what they hold if nothing did (NaN: null)."""
    told = {i: f.name for i, f in enumerate(features) if f.source in _EVENTS or f.name.startswith("past.")}
    return {i: 0.0 if _COUNT.search(name) else np.nan for i, name in told.items()}


def with_strangers(known: Labelled, rng: np.random.Generator) -> Labelled:
    """The examples, and a twentieth of them once more as if their entities had no past."""
    number = round(_SHARE * len(known.labels)) if known.blanks else 0
    rows = np.sort(rng.choice(len(known.labels), number, replace=False))
    more, every = _blank(known.examples.take(rows), known.blanks), np.r_[np.arange(len(known.labels)), rows]
    columns = tuple(np.concatenate(pair) for pair in zip(known.examples.columns, more.columns, strict=True))
    times = None if known.times is None else np.asarray(known.times)[every]
    return replace(known, examples=replace(known.examples, columns=columns), labels=known.labels[every], times=times)


def _blank(table: FeatureTable, values: dict[int, float]) -> FeatureTable:
    columns = list(table.columns)
    for i, value in values.items():
        if table.kinds[i] == CATEGORICAL:
            columns[i] = np.full(table.num_rows, None, dtype=object)
        else:
            columns[i] = np.full(table.num_rows, value)
    return replace(table, columns=tuple(columns))
