from __future__ import annotations

from pathlib import Path

import pytest

from dbt_rfm.bench.suite import load, read_suite
from dbt_rfm.warehouse.duckdb import DuckDB


@pytest.fixture
def warehouse():
    with DuckDB.open(":memory:", read_only=False) as opened:
        yield opened


def test__load__dataset__schema_is_what_was_declared(suite: Path, warehouse: DuckDB) -> None:
    schema = load(read_suite(suite)[0], warehouse)
    assert {t.name: (t.primary_key, t.time_column) for t in schema.tables} == {
        "shoppers": (("id",), None),  # `born` is a time, but not the one that says when a row was known
        "orders": (("id",), "at"),
    }
    assert [str(link) for link in schema.links] == ["orders.shopper_id -> shoppers.id"]
