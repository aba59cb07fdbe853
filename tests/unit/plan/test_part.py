"""A part of all entities, whose rows a quick list reads where there are very many."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from unittest.mock import patch

import pytest
from hand_worked import World, world

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.options import Options
from dbt_rfm.plan import part, sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.snapshot import QUERY, Snapshot

SCRIPT = """
create table customers as select 'c' || i as name from range(400) t(i);
create table products as select 'p' || i as sku from range(12) t(i);
create table orders as
    select i as order_id, 'c' || i % 400 as customer, 'p' || (i * 7 % 11 + i % 2) as sku,
        timestamp '2024-01-01' + to_hours(i::integer) as at
    from range(2000) t(i);
"""
NAMED, ANCHOR = "c7", "2024-03-20"
QUERY_TEXT = "PREDICT LIST_DISTINCT(orders.sku, 0, 10, days) RANK TOP 3 FOR EACH customers.name"


LATER = {
    "rows deleted": f"""delete from orders where "at" > '{ANCHOR}';""",
    "rows added": f"""
        insert into orders
            select 9000 + i, 'c' || i % 450, 'p' || i % 12, timestamp '{ANCHOR}' + to_hours(1 + i::integer)
            from range(5000) t(i);
        insert into customers select 'c' || i from range(400, 450) t(i);""",
    "rows changed": f"""update orders set sku = 'p1', customer = 'c7' where "at" > '{ANCHOR}';""",
}


@pytest.fixture(scope="module")
def shop() -> World:
    return made()


def made(more: str = "") -> World:
    return world(
        SCRIPT + more,
        keys={"customers": "name", "products": "sku", "orders": "order_id"},
        times={"orders": "at"},
        links=["orders.customer -> customers.name", "orders.sku -> products.sku"],
    )


MANY = 1_000_000  # entities


def keys(shop: World, rows: int) -> set[str]:
    task = replace(shop.bound(QUERY_TEXT), entity_ids=(NAMED,))
    select = part.part_select(task, Graph(shop.schema, "duckdb"), rows=rows, entities=MANY, seed=0)
    assert select is not None
    return set(shop.warehouse.query(select).column(0).to_pylist())


def test__part__of_too_many_rows__is_a_half_or_less_by_lot_with_those_named(shop: World) -> None:
    half, fourth = (keys(shop, rows=factor * part.QUICK_ROWS) for factor in (2, 3))

    assert 160 < len(half) < 240 and 70 < len(fourth) < 130
    assert NAMED in fourth < half


@pytest.mark.parametrize(("rows", "entities"), [(part.QUICK_ROWS, MANY), (MANY * MANY, 2 * part.LEAST_ENTITIES - 1)])
def test__part__of_few_rows_or_few_entities__is_everybody(shop: World, rows: int, entities: int) -> None:
    task = replace(shop.bound(QUERY_TEXT), entity_ids=(NAMED,))
    assert part.part_select(task, Graph(shop.schema, "duckdb"), rows=rows, entities=entities, seed=0) is None


def test__known_rows__are_those_of_the_anchor(shop: World) -> None:
    at = sql.timestamp(datetime(2024, 1, 2))  # the first order is of midnight, another follows each hour
    known = part.known_rows(shop.bound(QUERY_TEXT), Graph(shop.schema, "duckdb"), at)
    assert shop.warehouse.query(known).to_pylist() == [{"rows": 25, "entities": 25}]


def asked(shop: World) -> Snapshot:
    task = replace(shop.bound(QUERY_TEXT), entity_ids=(NAMED,))
    options = Options(anchor=ANCHOR, context_size=200, backtest=False)
    return collect(task, shop.schema, shop.warehouse, options, with_rows=False, brief=True)


def rows_of(snapshot: Snapshot) -> list[dict]:
    """Of what is asked, in the order of items."""
    rows = [e | f for e, f in zip(snapshot.examples.to_pylist(), snapshot.features.to_pylist(), strict=True)]
    return sorted((row for row in rows if row["split"] == QUERY), key=lambda row: row["item"])


def test__quick_list__of_a_part__tells_the_named_their_own_rows_and_less_of_others(shop: World) -> None:
    whole = rows_of(asked(shop))
    with patch.multiple(part, QUICK_ROWS=500, LEAST_ENTITIES=50):
        fourth = rows_of(asked(shop))

    own = [name for name in whole[0] if name.startswith(("own.times", "own.age", "entity.items", "entity.visits"))]
    assert {row["entity"] for row in fourth} == {NAMED}
    assert [[row[name] for name in ("item", *own)] for row in whole] == [
        [row[name] for name in ("item", *own)] for row in fourth
    ]
    assert sum(row["item.entities"] for row in fourth) < sum(row["item.entities"] for row in whole) / 2


@pytest.mark.parametrize("later", ["rows deleted", "rows added", "rows changed"])
def test__quick_list__of_a_part__later_rows_change_nothing(shop: World, later: str) -> None:
    with patch.multiple(part, QUICK_ROWS=500, LEAST_ENTITIES=50):
        found, other = asked(shop), asked(made(LATER[later]))

    assert len(found.examples) > 100
    assert found.examples.equals(other.examples)
    assert found.features.equals(other.features)
