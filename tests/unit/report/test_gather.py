"""What the page says of a served table is what is in it, counted by the warehouse."""

from __future__ import annotations

import json

import duckdb
import pyarrow as pa
import pytest
from published_predictions import ANCHOR, ROWS, published
from sqlglot import parse_one

from dbt_rfm.job import JobTarget
from dbt_rfm.report.gather import Meaning, Prediction, gather
from dbt_rfm.report.selects import STRONGEST
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

TARGET = JobTarget(None, "main", "churn")
NO_WORDS = Meaning({})


@pytest.fixture
def warehouse() -> DuckDB:
    return DuckDB(duckdb.connect())


def run(warehouse: DuckDB, text: str) -> None:
    warehouse.execute(parse_one(text, dialect="duckdb"))


def gathered(warehouse: DuckDB, kind: TaskKind, rows: pa.Table | None = None) -> Prediction:
    return gather(warehouse, published(warehouse, TARGET, kind, rows), NO_WORDS)


def test__binary__probabilities_in_tenths_one_in_the_last(warehouse: DuckDB) -> None:
    found = gathered(warehouse, TaskKind.BINARY)
    assert [(row["bar"], row["n"], row["yes"]) for row in found.spread] == [(0, 1, 0), (5, 1, 1), (9, 2, 2)]
    assert found.strongest.columns == ("customer_id", "probability")
    assert found.strongest.rows == ((3, 1.0), (2, 0.95), (4, 0.55), (1, 0.05))


def test__regression__bars_between_the_ends_ties_by_key(warehouse: DuckDB) -> None:
    found = gathered(warehouse, TaskKind.REGRESSION)
    assert [(row["bar"], row["n"]) for row in found.spread] == [(0, 1), (6, 1), (11, 2)]
    assert {(row["low"], row["high"], row["highest"], row["mean"]) for row in found.spread} == {(0.0, 12.0, 12.0, 7.5)}
    assert [row[0] for row in found.strongest.rows] == [2, 3, 4, 1]


def test__regression__one_number_far_above__falls_into_the_last_bar(warehouse: DuckDB) -> None:
    numbers = [*map(float, range(200)), 1e6]
    rows = {name: numbers for name in ("prediction", "p10", "p50", "p90")}
    found = gathered(
        warehouse, TaskKind.REGRESSION, pa.table({"id": range(201), "anchor_time": [ANCHOR] * 201, **rows})
    )
    assert len(found.spread) == 12 and sum(row["n"] for row in found.spread) == 201
    assert found.spread[0]["high"] < 200 and found.spread[0]["highest"] == 1e6


def test__regression__all_numbers_the_same__one_bar(warehouse: DuckDB) -> None:
    same = {name: [3.0, 3.0] for name in ("prediction", "p10", "p50", "p90")}
    found = gathered(warehouse, TaskKind.REGRESSION, pa.table({"id": [1, 2], "anchor_time": [ANCHOR] * 2, **same}))
    assert [(row["bar"], row["n"]) for row in found.spread] == [(0, 2)]


def test__multiclass__a_class_counts_where_it_is_the_likeliest(warehouse: DuckDB) -> None:
    found = gathered(warehouse, TaskKind.MULTICLASS)
    assert [(row["key0"], row["n"], row["everybody"]) for row in found.spread] == [("toys", 2, 3), ("food", 1, 3)]
    assert found.strongest.rows == ((3, "food", 0.9), (1, "toys", 0.7), (2, "toys", 0.6))


def test__link__an_item_counts_in_each_list_that_has_it(warehouse: DuckDB) -> None:
    found = gathered(warehouse, TaskKind.LINK)
    assert [(row["key0"], row["n"]) for row in found.spread] == [("b", 2), ("a", 1), ("c", 1)]
    assert {(row["everybody"], row["kinds"]) for row in found.spread} == {(2, 3)}
    assert found.strongest.columns == ("customer_id", "product_id", "score")
    assert found.strongest.rows == ((1, "a", 0.9), (2, "b", 0.8))


def test__forecast__totals_of_each_window_and_of_each_entity(warehouse: DuckDB) -> None:
    found = gathered(warehouse, TaskKind.FORECAST)
    assert [(row["total"], row["p10"], row["p90"]) for row in found.spread] == [(11.0, 5.0, 23.0), (22.0, 10.0, 44.0)]
    assert found.strongest.rows == ((1, 30.0), (2, 3.0))


def test__link__served_table_in_another_order__item_is_the_item(warehouse: DuckDB) -> None:
    """As a contract may have it."""
    known = published(warehouse, TARGET, TaskKind.LINK)
    run(
        warehouse,
        "create or replace table churn as select product_id, rank, score, anchor_time, customer_id from churn",
    )
    assert gather(warehouse, known, NO_WORDS).strongest.columns == ("customer_id", "product_id", "score")


def test__strongest__of_many_rows__ten_leave_the_warehouse(warehouse: DuckDB) -> None:
    many = pa.concat_tables([ROWS[TaskKind.BINARY]] * 10)
    assert len(gathered(warehouse, TaskKind.BINARY, many).strongest.rows) == STRONGEST


def test__reasons__of_the_rows_that_have_them(warehouse: DuckDB) -> None:
    reason = {"about": "orders", "feature": "orders.count.30d", "value": 0.0, "usual": 1.0, "effect": 0.2}
    told = pa.array([None, None, json.dumps([reason]), None])
    found = gathered(warehouse, TaskKind.BINARY, ROWS[TaskKind.BINARY].append_column("reasons", told))
    assert found.strongest.reasons == ((reason,), (), (), ())
    assert "reasons" not in found.strongest.columns


def test__figures__of_the_version_that_is_served(warehouse: DuckDB) -> None:
    published(warehouse, TARGET)
    found = gather(warehouse, published(warehouse, TARGET, beats=None, hold=True), NO_WORDS)
    assert found.published.version["version"] == 1
    assert ("auroc", "entity history", 0.7) in [tuple(row.values()) for row in found.figures]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop table churn", "main.churn is not there any more"),
        ("alter table churn drop column probability", "no column probability"),
    ],
)
def test__served_table__changed_by_hand__a_problem_in_words(warehouse: DuckDB, change: str, said: str) -> None:
    known = published(warehouse, TARGET)
    run(warehouse, change)
    found = gather(warehouse, known, NO_WORDS)
    assert said in found.problem and "dbt-rfm rollback churn --version 1" in found.problem
    assert found.figures and not found.spread and found.strongest is None


def test__no_version_served_yet__said(warehouse: DuckDB) -> None:
    found = gather(warehouse, published(warehouse, TARGET, beats=False, hold=True), NO_WORDS)
    assert "No version of it is served yet" in found.problem and found.figures
