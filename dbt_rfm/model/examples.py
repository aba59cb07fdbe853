"""The examples of a snapshot as a model takes them: columns of numpy, labels, moments.

In: a snapshot and positions of its examples. Out: arrays in the order of the positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.model.interface import CATEGORICAL, NUMERICAL, FeatureTable, Labelled
from dbt_rfm.model.neighbourhood import neighbourhood
from dbt_rfm.model.word_columns import word_columns
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, KEYS, OF_WORD, TEXT, Snapshot
from dbt_rfm.task_kind import TaskKind


def split_rows(snapshot: Snapshot, split: str) -> np.ndarray:
    """Positions of a split's examples."""
    return np.flatnonzero(pc.equal(snapshot.examples.column("split"), split).to_numpy(zero_copy_only=False))


def labelled(snapshot: Snapshot, rows: np.ndarray, *, with_rows: bool = False) -> Labelled:
    """Examples of a snapshot whose outcome is known."""
    times = seconds_of(snapshot, "anchor_time", rows)
    examples = examples_at(snapshot, rows, with_rows=with_rows)
    return Labelled(examples, label_array(snapshot, rows), snapshot.kind, snapshot.classes, times)


def examples_at(snapshot: Snapshot, rows: np.ndarray, *, with_rows: bool) -> FeatureTable:
    """The features of the examples at these positions, with the rows around them if asked for.

    With rows there are neither words nor keys: models that read rows keep what they learnt under the names of their
    columns, and the words of a later context are others; and the rows have the keys.
    """
    taken = feature_table(snapshot, rows, alone=not with_rows)
    return replace(taken, rows=neighbourhood(snapshot, rows)) if with_rows else taken


def feature_table(snapshot: Snapshot, rows: np.ndarray | None = None, *, alone: bool = True) -> FeatureTable:
    """The features of the examples at these positions, or of all, as a model takes them; `alone`: one without rows."""
    taken = snapshot.features if rows is None else snapshot.features.take(pa.array(rows, type=pa.int64()))
    columns: list[tuple[str, str, np.ndarray]] = []
    for feature in snapshot.features_meta:
        values = taken.column(feature.name)
        if feature.kind == CATEGORICAL or (feature.kind == KEYS and alone):
            columns.append((feature.name, feature.kind, np.array(values.cast(pa.string()).to_pylist(), dtype=object)))
        elif feature.kind not in (TEXT, KEYS):
            numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
            columns.append((feature.name, NUMERICAL, numbers))
        elif feature.kind == TEXT and alone:
            words = snapshot.words.get(_learnt_from(snapshot, rows), {}).get(feature.name, ())
            columns += [(f"{feature.name}{OF_WORD}{w}", NUMERICAL, c) for w, c in word_columns(values, words)]
    names, kinds, arrays = zip(*columns, strict=True) if columns else ((), (), ())
    return FeatureTable(names=names, kinds=kinds, columns=arrays)


def _learnt_from(snapshot: Snapshot, rows: np.ndarray | None) -> str:
    """The context to which the examples at these positions belong or are put."""
    splits = snapshot.examples["split"]
    found = pc.unique(splits if rows is None else splits.take(pa.array(rows, type=pa.int64()))).to_pylist()
    return BACKTEST_CONTEXT if found and {*found} <= {BACKTEST_CONTEXT, BACKTEST} else CONTEXT


def label_array(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
    """[rows] class positions for binary and multiclass, float64 for numbers."""
    labels = snapshot.examples.column("label").take(pa.array(rows))
    if snapshot.kind in (TaskKind.REGRESSION, TaskKind.FORECAST):
        return labels.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    if snapshot.kind in (TaskKind.BINARY, TaskKind.LINK):
        return labels.cast(pa.int8()).to_numpy(zero_copy_only=False).astype(np.int64)
    position = {name: i for i, name in enumerate(snapshot.classes)}
    return np.array([position[v] for v in labels.cast(pa.string()).to_pylist()], dtype=np.int64)


def seconds_of(snapshot: Snapshot, column: str, rows: np.ndarray) -> np.ndarray:
    times = snapshot.examples.column(column).take(pa.array(rows, type=pa.int64()))
    return times.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6


def group_numbers(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
    """[rows] 0, 1, …: a number per entity and anchor; the pairs of one follow each other in a bundle."""
    taken = snapshot.examples.select(["entity", "anchor_time"]).take(pa.array(rows))
    changes = np.zeros(len(rows), dtype=bool)
    for column in taken.columns:
        codes = column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        changes[1:] |= codes[1:] != codes[:-1]
    return np.cumsum(changes)
