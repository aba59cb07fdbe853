"""Rows of published predictions as the commands show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from dbt_rfm.job import JobTarget
    from dbt_rfm.warehouse.base import Warehouse

BACKTEST_COLUMNS = ("backtest", "value", "best baseline", "beats it")


def backtest_cells(version: Mapping[str, Any]) -> list[Any]:
    """A row of rfm_versions as cells for BACKTEST_COLUMNS."""
    return [version[c] for c in ("backtest_metric", "backtest_value", "baseline_value", "beats_baseline")]


def head(warehouse: Warehouse, relation: JobTarget, rows: int) -> pa.Table:
    """The first rows of a served table by its key."""
    from sqlglot import exp

    from dbt_rfm.warehouse.relations import named

    return warehouse.query(exp.select("*").from_(named(relation)).order_by(exp.Literal.number(1)).limit(rows))


def cells(rows: pa.Table) -> list[tuple[Any, ...]]:
    """The rows of an Arrow table, one tuple each."""
    return list(zip(*[column.to_pylist() for column in rows.columns], strict=True))
