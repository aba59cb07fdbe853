"""Rows of a prediction in the form that the query asks for: key columns, and how many classes.

In: rows as the model gives them, the task, its warehouse. Out: the same rows, in order; where the entity's key has
several columns, each of them under its own name and type in place of the combined one (one SELECT over the entity
table, whatever the number of rows); of CLASSIFY TOP k, the k likeliest classes of each entity.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.combined import key_columns
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.warehouse.base import Warehouse


def as_asked(rows: pa.Table, task: Task, schema: RelationalSchema, warehouse: Warehouse) -> pa.Table:
    rows = likeliest(rows, task)
    combined, parts = task.entity.column.name, key_columns(task.entity.table)
    if not parts:
        return rows
    keys = warehouse.query(_keys(task, schema, warehouse))
    given = rows.column(combined)
    places = pc.index_in(given, value_set=keys.column(combined).combine_chunks().cast(given.type))
    position = rows.column_names.index(combined)
    rows = rows.remove_column(position)
    for i, part in enumerate(parts):
        rows = rows.add_column(position + i, part.name, keys.column(part.name).take(places))
    return rows


def likeliest(rows: pa.Table, task: Task) -> pa.Table:
    """Of CLASSIFY TOP k, the k likeliest classes of each entity; of others all rows."""
    return rows if task.classes_shown is None else rows.filter(pc.less_equal(rows["rank"], task.classes_shown))


def with_key_columns(rows: exp.Table, task: Task, schema: RelationalSchema, warehouse: Warehouse) -> exp.Select | None:
    """The rows of a table in the warehouse with the columns of a combined key; None for a key of one column."""
    combined, parts = task.entity.column.name, key_columns(task.entity.table)
    if not parts:
        return None
    selected: list[exp.Expression] = []
    for name, _ in warehouse.describe(rows.sql(dialect=warehouse.dialect)):
        selected += sql.columns([c.name for c in parts], "k") if name == combined else [sql.column(name, "p")]
    given = rows.copy()
    given.set("alias", exp.TableAlias(this=sql.name("p")))
    query = sql.select(*selected).from_(given, copy=False)
    on = exp.EQ(this=sql.column(combined, "k"), expression=sql.column(combined, "p"))
    return sql.join(query, sql.subquery(_keys(task, schema, warehouse), "k"), on)


def _keys(task: Task, schema: RelationalSchema, warehouse: Warehouse) -> exp.Select:
    table = task.entity.table
    names = [task.entity.column.name, *(c.name for c in key_columns(table))]
    select = sql.select(*sql.columns(names, "e")).distinct(copy=False)
    return select.from_(Graph(schema, warehouse.dialect).read(table, "e"), copy=False)
