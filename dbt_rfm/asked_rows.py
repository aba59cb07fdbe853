"""Rows of a prediction in the form that the query asks for: key columns, and how many classes.

In: rows as the model gives them, the task, its warehouse. Out: the same rows, in order; where the entity's key has
several columns, each of them under its own name and type in place of the combined one (one SELECT over the entity
table, whatever the number of rows); of CLASSIFY TOP k, the k likeliest classes of each entity.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.plan import sql
from dbt_rfm.plan.paths import Graph
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.combined import key_columns
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.warehouse.base import Warehouse


def as_asked(rows: pa.Table, task: Task, schema: RelationalSchema, warehouse: Warehouse) -> pa.Table:
    if task.classes_shown is not None:
        rows = rows.filter(pc.less_equal(rows["rank"], task.classes_shown))
    table, combined = task.entity.table, task.entity.column.name
    parts = key_columns(table)
    if not parts:
        return rows
    select = sql.select(*sql.columns([combined, *(c.name for c in parts)], "e")).distinct()
    keys = warehouse.query(select.from_(Graph(schema, warehouse.dialect).read(table, "e")))
    given = rows.column(combined)
    places = pc.index_in(given, value_set=keys.column(combined).combine_chunks().cast(given.type))
    position = rows.column_names.index(combined)
    rows = rows.remove_column(position)
    for i, part in enumerate(parts):
        rows = rows.add_column(position + i, part.name, keys.column(part.name).take(places))
    return rows
