"""A schema as rows, for the table `rfm_relational_schema` in the warehouse.

In: a RelationalSchema. Out: one Arrow row per column, and one more for each further table a column points at. Text and
booleans only, so that every warehouse and every dashboard can read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from dbt_rfm.schema.types import Column, Link, RelationalSchema, Table

_TEXT, _FLAG = pa.string(), pa.bool_()
ROWS = pa.schema(
    {
        "table_name": _TEXT,
        "unique_id": _TEXT,
        "column_name": _TEXT,
        "data_type": _TEXT,
        "semantic_type": _TEXT,
        "is_primary_key": _FLAG,
        "primary_key_inferred": _FLAG,
        "is_time_column": _FLAG,
        "time_column_inferred": _FLAG,
        "hindsight": _FLAG,
        "parent_table": _TEXT,
        "parent_column": _TEXT,
        "link_declared_by": _TEXT,
        "link_is_weak": _FLAG,
        "link_weak_reason": _TEXT,
    }
)


def schema_rows(schema: RelationalSchema) -> pa.Table:
    rows = [row for table in schema.tables for column in table.columns for row in _rows(schema, table, column)]
    return pa.Table.from_pylist(rows, schema=ROWS)


def _rows(schema: RelationalSchema, table: Table, column: Column) -> Iterator[dict[str, Any]]:
    is_key = column.name in table.primary_key
    is_time = column.name in (table.time_column, table.valid_from, table.time_link)
    own = {
        "table_name": table.name,
        "unique_id": table.unique_id,
        "column_name": column.name,
        "data_type": column.data_type,
        "semantic_type": str(column.semantic_type),
        "is_primary_key": is_key,
        "primary_key_inferred": is_key and table.primary_key_inferred,
        "is_time_column": is_time,
        "time_column_inferred": is_time and table.time_column_inferred,
        "hindsight": column.hindsight,
    }
    links = [link for link in schema.parents(table.name) if link.child_column == column.name]
    yield from ({**own, **_link(link)} for link in links)
    if not links:
        yield own


def _link(link: Link) -> dict[str, Any]:
    return {
        "parent_table": link.parent,
        "parent_column": link.parent_column,
        "link_declared_by": link.declared_by,
        "link_is_weak": link.weak,
        "link_weak_reason": link.weak_reason or None,
    }
