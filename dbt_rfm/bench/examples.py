"""Which labelled rows a model may learn from and which it is asked, by protocol and split.

In: a task's label table (entity, anchor_time, label, split). Out: the same rows with the role each has: `context` may
be learnt from, `query` is asked, `other` only serves as past labels.
Time rule: a label is known `delay_days` after its anchor. Context rows are those known by the first queried anchor, of
the splits before the queried one; which of them a model is shown is decided as in production (plan/examples.py). In the
frozen protocol nothing after the split's timestamp is seen by any row, labels included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dbt_rfm.bench.suite import Dataset, SuiteTask
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.snapshot import CONTEXT, QUERY

ROLLING, FROZEN = "rolling", "frozen"
OTHER = "other"
#: The splits a queried split may learn from.
LEARN_FROM = {"val": ("train",), "test": ("train", "val")}


@dataclass(frozen=True)
class Examples:
    """`labels` has entity, anchor_time, label, known_at and split (a role); `pool` its rows that may be learnt from."""

    labels: pa.Table
    pool: pa.Table
    cut: datetime | None  # frozen: nothing later is seen


def choose(dataset: Dataset, task: SuiteTask, *, protocol: str, split: str) -> Examples:
    """Raises DataError where the split has no row or nothing is known before it."""
    labels = read_labels(task)
    asked = pc.equal(labels["split"], split)
    anchors = labels["anchor_time"].filter(asked)
    if not len(anchors):
        raise DataError(f"{task.title} has no row of split {split}")
    cut = None
    if protocol == FROZEN:
        cut = dataset.test_timestamp if split == "test" else dataset.val_timestamp
    first = min(moment for moment in (pc.min(anchors).as_py(), cut) if moment is not None)
    known = pc.less_equal(labels["known_at"], pa.scalar(first, labels.schema.field("known_at").type))
    learnable = pc.and_(pc.is_in(labels["split"], value_set=pa.array(LEARN_FROM[split])), known)
    roles = pc.if_else(asked, QUERY, pc.if_else(learnable, CONTEXT, OTHER))
    labels = labels.drop_columns("split").append_column("split", roles)
    pool = labels.filter(learnable)
    if not len(pool):
        raise DataError(f"{task.title} has no label known by {first:%Y-%m-%d}, when split {split} begins")
    return Examples(labels, pool, cut)


def read_labels(task: SuiteTask) -> pa.Table:
    """The label table with `known_at`; undefined labels are left out."""
    try:
        labels = pq.read_table(task.file)
    except (OSError, pa.ArrowException) as error:
        raise ProjectError(f"the label table of {task.title} cannot be read: {error}", where=str(task.file)) from error
    labels = labels.filter(pc.is_valid(labels["label"]))
    delay = pa.scalar(timedelta(days=task.delay_days), type=pa.duration("us"))
    return labels.append_column("known_at", pc.add(labels["anchor_time"].cast(pa.timestamp("us")), delay))
