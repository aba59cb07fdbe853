"""The schema as rows."""

from __future__ import annotations

from dataclasses import replace

from dbt_rfm.schema.rows import ROWS, schema_rows
from dbt_rfm.schema.types import Link, RelationalSchema


def test__rows__one_per_column_and_one_per_further_link(declared_shop):
    schema = declared_shop.schema()
    second = Link("orders", "customer_id", "people", "id", "foreign key", True, "has severity warn")
    rows = schema_rows(replace(schema, links=(*schema.links, second)))
    assert rows.schema == ROWS
    pairs = list(zip(rows["column_name"].to_pylist(), rows["parent_table"].to_pylist(), strict=True))
    assert pairs == [
        ("customer_id", None),
        ("city", None),
        ("order_id", None),
        ("customer_id", "customers"),
        ("customer_id", "people"),
        ("ordered_at", None),
        ("total", None),
    ]
    assert rows["link_weak_reason"].to_pylist()[4] == "has severity warn"
    assert rows["hindsight"].to_pylist() == [False] * 7
    assert rows["is_time_column"].to_pylist() == [False, False, False, False, False, True, False]


def test__rows__empty_schema__columns_and_no_rows():
    assert schema_rows(RelationalSchema((), ())).schema == ROWS
