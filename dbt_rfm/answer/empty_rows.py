"""The form of a prediction without its rows, for `dbt --empty`.

In: a task and its warehouse, of which only column types are asked. Out: an Arrow table without rows whose columns are
those that the task's predictions have. No model is loaded.
"""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from dbt_rfm.answer.reasons_column import with_reasons
from dbt_rfm.model.prediction_rows import prediction_rows
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import Table
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.warehouse.base import Warehouse


def empty_rows(task: Task, warehouse: Warehouse, options: Options) -> pa.Table:
    """The prediction table's form for a task, without rows."""

    def no_values(table: Table, column: str) -> pa.ChunkedArray:
        select = sql.select(sql.column(column, "r")).from_(sql.relation(table, "r", warehouse.dialect), copy=False)
        return warehouse.query(select.limit(0, copy=False)).column(0)

    key, ranking = task.entity.column.name, {}
    examples = {
        "split": pa.array([], type=pa.string()),
        "entity": no_values(task.entity.table, key),
        "anchor_time": pa.array([], type=pa.timestamp("us")),
    }
    if task.ranking is not None:
        item = task.ranking.link.parent_column
        examples["item"] = no_values(task.ranking.items, item)
        ranking = {"item": item, "number": task.ranking.number}
    if task.timeframes is not None:
        moments = pa.array([], type=pa.timestamp("us"))
        examples |= {"step": pa.array([], type=pa.int32()), "forecast_from": moments, "forecast_until": moments}
    snapshot = Snapshot(
        query=task.text,
        kind=task.kind,
        classes=(),
        entity=key,
        anchor=datetime(1970, 1, 1),
        schema_fingerprint="",
        features_meta=(),
        examples=pa.table(examples),
        features=pa.table({}),
        ranking=ranking,
        options=options.recorded(),
    )
    return with_reasons(prediction_rows(snapshot, None), snapshot, None, None, snapshot)
