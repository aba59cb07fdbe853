"""Columns that look like copies of the attribute that is predicted.

In: the examples and features of an attribute task. Out: sentences for the reader, one per suspicious column of the row
itself or of its parents. A refund date, a fraud scenario or a segment code is filled in with the outcome or made from
it: it tells everything about the rows learnt from, the backtest shines, and where the outcome is missing it is missing
too. Only a person knows which it is, so nothing is left out unasked: a code that is there where its name is missing
is what fills the gap best.
Two signs: one column alone tells the label of every example (each of its values goes with one label only, or one
threshold parts two classes, or a number orders numbers the same way); or it is there where the outcome is known and
missing where it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.metrics import spearman
from dbt_rfm.plan.agreements import SAME_AS
from dbt_rfm.snapshot import CONTEXT, QUERY, Feature
from dbt_rfm.task_kind import TaskKind

_LEAST_ROWS = 20  # of the context: with fewer, chance is enough
_LEAST_OF_CLASS = 5
_REPEATS = 4  # rows per distinct value, at least: a value seen once goes with one label by necessity
_SAME_ORDER = 0.9995  # rank correlation
_GONE, _THERE = 0.95, 0.05  # shares missing where asked, and where known
_SHOWN = 5
_NO_COLUMN = (">", SAME_AS)  # in the name of what groups of rows did, and of two columns that agree
_OF_USE = ", and is there where it is asked for, which helps if it was there first, as a code beside its name"
_LATER = (
    "what is filled in later or made from it makes the backtest too good: leave it out (meta.rfm.ignore: true on the "
    "column)"
)


def give_aways(
    kind: TaskKind, examples: pa.Table, features: pa.Table, meta: Sequence[Feature], target: str
) -> list[str]:
    """Notes on columns that tell too much of the target, or nothing where it counts."""
    splits = examples["split"]
    known = np.flatnonzero(pc.equal(splits, CONTEXT).to_numpy(zero_copy_only=False))
    asked = np.flatnonzero(pc.equal(splits, QUERY).to_numpy(zero_copy_only=False))
    if len(known) < _LEAST_ROWS:
        return []
    labels = examples["label"].take(pa.array(known))
    own = [f for f in meta if f.source in ("own", "parent") and not any(sign in f.name for sign in _NO_COLUMN)]
    telling = [f.name for f in own if _tells(kind, features[f.name].take(pa.array(known)), labels)]
    missing = [f.name for f in own if f.name not in telling and _goes_missing(features[f.name], known, asked)]
    there = [name for name in telling if _is_there(features[name], asked)]
    notes = []
    for names, so in ((there, _OF_USE), ([name for name in telling if name not in there], "")):
        if names:
            tells = "tells" if len(names) == 1 else "each tell"
            notes.append(
                f"{_listed(names)} alone {tells} {target} of all {len(known)} examples learnt from{so}; {_LATER}"
            )
    if missing:
        are = "is" if len(missing) == 1 else "are"
        notes.append(
            f"{_listed(missing)} {are} there where {target} is known and missing where it is asked for, so what is "
            "learnt from that does not help; leave it out (meta.rfm.ignore: true on the column)"
        )
    return notes


def _tells(kind: TaskKind, values: pa.ChunkedArray, labels: pa.ChunkedArray) -> bool:
    if kind == TaskKind.REGRESSION:
        return _same_order(values, labels)
    names = labels.cast(pa.string())
    counts = pc.value_counts(names).field("counts").to_pylist()
    if len(counts) < 2 or sorted(counts)[-2] < _LEAST_OF_CLASS:
        return False
    if _one_label_each(values, names) or _one_label_each(values.is_null(), names):
        return True
    return len(counts) == 2 and _one_threshold(values, names)


def _one_label_each(values: pa.ChunkedArray, labels: pa.ChunkedArray) -> bool:
    """Each value, missing included, goes with one label, and values repeat."""
    table = pa.table({"value": values.cast(pa.string()), "label": labels})
    pairs = table.group_by(["value", "label"]).aggregate([]).num_rows
    distinct = table.group_by(["value"]).aggregate([]).num_rows
    return pairs == distinct and distinct * _REPEATS <= len(values)


def _one_threshold(values: pa.ChunkedArray, labels: pa.ChunkedArray) -> bool:
    """One class lies wholly above the other, each with enough rows."""
    if not pa.types.is_floating(values.type) or values.null_count:
        return False
    number, name = values.to_numpy(), np.array(labels.to_pylist())
    first = name == name[0]
    if min(first.sum(), (~first).sum()) < _LEAST_OF_CLASS:
        return False
    return bool(number[first].min() > number[~first].max() or number[first].max() < number[~first].min())


def _same_order(values: pa.ChunkedArray, labels: pa.ChunkedArray) -> bool:
    if not pa.types.is_floating(values.type) or values.null_count:
        return False
    number, label = values.to_numpy(), labels.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if len(np.unique(number)) < _LEAST_ROWS or len(np.unique(label)) < _LEAST_ROWS:
        return False
    return abs(spearman(label, number)) >= _SAME_ORDER


def _goes_missing(values: pa.ChunkedArray, known: np.ndarray, asked: np.ndarray) -> bool:
    gone = values.is_null().to_numpy()
    return len(asked) >= _LEAST_ROWS and bool(gone[asked].mean() >= _GONE and gone[known].mean() <= _THERE)


def _is_there(values: pa.ChunkedArray, asked: np.ndarray) -> bool:
    return bool(len(asked)) and values.take(pa.array(asked)).null_count <= (1 - _THERE) * len(asked)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
