"""Which labelled rows a model may learn from and which it is asked, by protocol and split.

In: a task's label table (entity, anchor_time, label, split). Out: context and queried rows, and the past labels' pool.
Time rule: a label is known `delay_days` after its anchor. Context rows are those known by the first queried anchor
(frozen: by the split's timestamp, where the database is cut), from the splits before the queried one. Past labels of
an example come from the whole table in rolling, each once it is known; in frozen only those known at the cut.
The newest context rows are kept, whole anchors first and the oldest of them sampled by the seed, as production does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dbt_rfm.bench.suite import Dataset, SuiteTask
from dbt_rfm.errors import DataError, ProjectError

ROLLING, FROZEN = "rolling", "frozen"
#: The splits a queried split may learn from.
LEARN_FROM = {"val": ("train",), "test": ("train", "val")}


@dataclass(frozen=True)
class Examples:
    """Tables with entity, anchor_time, label, known_at; `query` is ordered by anchor and entity."""

    context: pa.Table
    query: pa.Table
    pool: pa.Table  # all that could be learnt from; the context is a part of it
    history: pa.Table  # past labels may come from these


def choose(dataset: Dataset, task: SuiteTask, *, protocol: str, split: str, context_size: int, seed: int) -> Examples:
    """Raises DataError where the split has no row or nothing is known before it."""
    labels = read_labels(task)
    query = _ordered(labels.filter(pc.equal(labels["split"], split)))
    if not len(query):
        raise DataError(f"{task.title} has no row of split {split}")
    known_by = cut(dataset, protocol, split) or pc.min(query["anchor_time"]).as_py()
    may_learn = pc.is_in(labels["split"], value_set=pa.array(LEARN_FROM[split]))
    known = pc.less_equal(labels["known_at"], pa.scalar(known_by, labels.schema.field("known_at").type))
    pool = _ordered(labels.filter(pc.and_(may_learn, known)))
    if not len(pool):
        raise DataError(f"{task.title} has no label known before the first queried anchor {known_by:%Y-%m-%d}")
    history = labels.filter(known) if protocol == FROZEN else labels
    return Examples(newest(pool, context_size, seed), query, pool, history)


def cut(dataset: Dataset, protocol: str, split: str) -> datetime | None:
    """The time after which nothing is in the database; None: everything is."""
    if protocol == ROLLING:
        return None
    return dataset.test_timestamp if split == "test" else dataset.val_timestamp


def read_labels(task: SuiteTask) -> pa.Table:
    """The label table with `known_at`; undefined labels are left out."""
    try:
        labels = pq.read_table(task.file)
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(f"the label table of {task.title} cannot be read: {error}", where=str(task.file)) from error
    labels = labels.filter(pc.is_valid(labels["label"]))
    delay = pa.scalar(timedelta(days=task.delay_days), type=pa.duration("us"))
    return labels.append_column("known_at", pc.add(labels["anchor_time"].cast(pa.timestamp("us")), delay))


def newest(pool: pa.Table, size: int, seed: int) -> pa.Table:
    """The newest `size` rows in their order; where the last anchor does not fit as a whole, a seeded part of it."""
    if len(pool) <= size:
        return pool
    times = pool["anchor_time"].cast(pa.int64()).to_numpy()
    tie = np.random.default_rng(seed).random(len(pool))
    kept = np.sort(np.lexsort((tie, -times))[:size])
    return pool.take(pa.array(kept))


def _ordered(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("anchor_time", "ascending"), ("entity", "ascending")])
