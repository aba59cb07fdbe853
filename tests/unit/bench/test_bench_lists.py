"""A recommendation in the bench, on three shoppers whose lists are known."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from asking import Double

from dbt_rfm.bench.examples import Examples
from dbt_rfm.bench.lists import compare
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.options import Options
from dbt_rfm.plan.pairs import OWN_TIMES
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

START = datetime(2024, 1, 1)
ID = SemanticType.ID


class OwnTimes(Double):
    """Ranks what the entity had most often first."""

    def predict(
        self, context: FeatureTable, labels: np.ndarray, query: FeatureTable, kind: TaskKind, classes, **_: object
    ) -> Predictions:
        times = query.columns[query.names.index(OWN_TIMES)]
        true = (times + 1) / (times.max() + 2)
        return Predictions(kind, classes, probabilities=np.stack([1 - true, true], axis=1))


@pytest.fixture(scope="module")
def shop() -> tuple[RelationalSchema, DuckDB]:
    """Shopper i has item i every five days, and item 9 once."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        """
        create table shoppers as select i as id from range(3) t(i);
        create table items as select i as sku from range(10) t(i);
        create table buys as
            select 'r' || s || '_' || d as id, s as shopper, s as sku,
                timestamp '2024-01-01' + to_days(5 * d::integer) as at
            from range(3) a(s), range(20) b(d)
            union all select 'n' || s, s, 9, timestamp '2024-01-03' + to_days(s::integer) from range(3) a(s)
        """
    )
    tables = (
        Table("shoppers", "shoppers", (Column("id", "BIGINT", ID),), ("id",)),
        Table("items", "items", (Column("sku", "BIGINT", ID),), ("sku",)),
        Table(
            "buys",
            "buys",
            (
                Column("id", "VARCHAR", ID),
                Column("shopper", "BIGINT", ID),
                Column("sku", "BIGINT", ID),
                Column("at", "TIMESTAMP", SemanticType.TIMESTAMP),
            ),
            ("id",),
            "at",
        ),
    )
    links = (Link("buys", "shopper", "shoppers", "id"), Link("buys", "sku", "items", "sku"))
    return RelationalSchema(tables, links), DuckDB(connection)


def examples() -> Examples:
    """Lists of ten days: the shopper's own item, and another that nobody foresees."""
    anchors = [START + timedelta(days=d) for d in (40, 50, 60)]
    rows = [(s, a) for a in anchors for s in range(3)]
    labels = pa.table(
        {
            "entity": [s for s, _ in rows],
            "anchor_time": pa.array([a for _, a in rows], pa.timestamp("us")),
            "label": [[s, 7] if a == anchors[2] else [s] for s, a in rows],
            "known_at": pa.array([a + timedelta(days=10) for _, a in rows], pa.timestamp("us")),
            "split": ["query" if a == anchors[2] else "context" for _, a in rows],
        }
    )
    return Examples(labels, labels.slice(0, 6), None)


def test__compare__model_and_baselines__are_held_against_the_given_lists(shop) -> None:
    schema, warehouse = shop
    task = bind(parse("PREDICT LIST_DISTINCT(buys.sku, 0, 10, days) RANK TOP 2 FOR EACH shoppers.id"), schema)

    found = compare(task, schema, warehouse, OwnTimes(), examples(), Options(context_size=50, backtest=False))

    assert list(found.figures) == ["double", "popularity", "own repeat", "co-occurrence"]
    assert (found.lists, found.primary) == (3, "map@2")
    ours = found.figures["double"]
    # Item s leads shopper s's list: a hit at place 1 of the two that came, and 7 is nowhere near.
    assert ours["map@2"] == pytest.approx(1 / 2) and ours["recall@2"] == pytest.approx(1 / 2)
    assert ours["ndcg@2"] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert found.figures["own repeat"]["map@2"] == pytest.approx(1 / 2)
    assert found.figures["popularity"]["map@2"] < 1 / 2


def test__compare__rows__asks_only_so_many_lists(shop) -> None:
    schema, warehouse = shop
    task = bind(parse("PREDICT LIST_DISTINCT(buys.sku, 0, 10, days) RANK TOP 2 FOR EACH shoppers.id"), schema)

    found = compare(task, schema, warehouse, OwnTimes(), examples(), Options(backtest=False), rows=2)

    assert found.lists == 2
