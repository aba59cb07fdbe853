"""The page about a prediction says the same of the same rows, whichever warehouse they are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
from published_predictions import published

from dbt_rfm.job import JobTarget
from dbt_rfm.report.gather import Meaning, Prediction, gather
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.warehouse.postgres import Postgres
from dbt_rfm.warehouse.snowflake_sql import other_case


def test__gather__on_postgres__as_in_duckdb(postgres: Postgres, postgres_output: dict[str, Any]) -> None:
    _same(postgres, postgres_output["schema"])


def test__gather__on_snowflake__as_in_duckdb(snowflake: Warehouse, snowflake_output: dict[str, Any]) -> None:
    _same(snowflake, other_case(snowflake_output["schema"]))


def _same(warehouse: Warehouse, schema: str) -> None:
    for kind in TaskKind:
        wanted = _gathered(DuckDB(duckdb.connect()), "main", kind)
        got = _gathered(warehouse, schema, kind)
        assert got.problem == "" and got.strongest == wanted.strongest
        assert list(map(_plain, got.spread)) == list(map(_plain, wanted.spread)) != []
        assert list(map(_plain, got.figures)) == list(map(_plain, wanted.figures)) != []


def _gathered(warehouse: Warehouse, schema: str, kind: TaskKind) -> Prediction:
    return gather(warehouse, published(warehouse, JobTarget(None, schema, f"p_{kind}"), kind), Meaning({}))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Counts come as whole numbers, decimals or floats."""
    return {
        name: value if isinstance(value, str) or hasattr(value, "year") else float(value) for name, value in row.items()
    }
