"""FOR EACH lines.(order_id, line): a key of two columns, from the query to the rows of a prediction."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest
from hand_worked import World, world
from sqlglot import parse_one

from dbt_rfm.answer.asked_rows import as_asked
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import QueryError
from dbt_rfm.options import Options
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import labels_select
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.keys import schema_for
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.combined import CombinedLink, with_combined_link
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.snapshot import QUERY

A = datetime(2024, 7, 1)


@pytest.fixture()
def shop() -> World:
    """Lines of baskets; `hits` belong to a product, so lines have no children, but parents and siblings."""
    return world(
        """
        create table products as select i::int as product_id, 'kind ' || i % 3 as kind from range(1, 6) t(i);
        create table orders (order_id integer, placed_at timestamp);
        insert into orders select i::int, timestamp '2024-07-01' - to_days((i * 5)::int) from range(0, 40) t(i);
        create table lines as
            select i::int as order_id, case k when 0 then 'a|' else 'a%' || k end as line,
                ((i + k) % 5 + 1)::int as product_id, (i * k % 7)::double as quantity,
                case when i % 4 > 0 then (i + k) % 3 = 0 end as returned
            from range(0, 40) t(i), range(0, 3) s(k);
        """,
        keys={"products": "product_id", "orders": "order_id", "lines": ("order_id", "line")},
        times={"orders": "placed_at"},
        links=["lines.order_id -> orders.order_id", "lines.product_id -> products.product_id"],
    )


def bound(shop: World, query: str) -> tuple[Task, RelationalSchema]:
    parsed = parse(query)
    schema = schema_for(parsed, shop.schema, "duckdb")
    return bind(parsed, schema), schema


def test__key_of_two_columns__is_one_text_that_tells_rows_apart(shop: World) -> None:
    task, _ = bound(shop, "PREDICT lines.returned FOR EACH lines.(line, order_id)")
    assert task.entity.column.name == "order_id, line"
    select = f'select "order_id, line" from {task.entity.table.relation} where order_id = 7 order by line'
    found = shop.warehouse.query(parse_one(select, dialect="duckdb")).column(0).to_pylist()
    assert found == ["7|a%251", "7|a%252", "7|a%7C"]


def test__key_of_two_columns__an_attribute__is_asked_and_answered_per_row(shop: World) -> None:
    task, schema = bound(shop, "PREDICT lines.returned FOR EACH lines.(order_id, line)")
    found = collect(task, schema, shop.warehouse, Options(context_size=50, backtest=False))
    asked = found.examples.filter(pa.compute.equal(found.examples["split"], QUERY))
    assert asked.num_rows == 30, "one order in four has lines whose return nobody knows"
    rows = pa.table({task.entity.column.name: asked["entity"], "probability": [0.5] * 30})
    split = as_asked(rows, task, schema, shop.warehouse)
    assert split.column_names == ["order_id", "line", "probability"]
    assert split.schema.field("order_id").type == pa.int32()
    combined = [
        f"{o}|{line.replace('%', '%25').replace('|', '%7C')}"
        for o, line in zip(split["order_id"].to_pylist(), split["line"].to_pylist(), strict=True)
    ]
    assert combined == asked["entity"].to_pylist()


def test__foreign_key_of_two_columns__rows_belong_to_the_row_it_names() -> None:
    baskets = world(
        """
        create table lines (order_id integer, line varchar);
        insert into lines values (1, 'a'), (1, 'b'), (11, 'a'), (null, 'a');
        create table returns (return_id integer, line varchar, order_id integer, returned_at timestamp);
        insert into returns values
            (1, 'a', 1, '2024-07-02'), (2, 'a', 1, '2024-07-03'), (3, 'b', 1, '2024-06-01'), (4, 'a', 11, '2024-07-31'),
            (5, 'c', 1, '2024-07-02'), (6, null, 1, '2024-07-02');
        """,
        keys={"lines": ("order_id", "line"), "returns": "return_id"},
        times={"returns": "returned_at"},
        links=[],
    )
    link = CombinedLink("returns", ("order_id", "line"), "lines", ("order_id", "line"), "foreign key")
    linked = World(with_combined_link(baskets.schema, link, "duckdb"), baskets.warehouse)
    query = "PREDICT COUNT(returns.*, 0, 30) FOR EACH lines.(order_id, line)"
    assert linked.labels(query, A) == {"1|a": 2, "1|b": 0, "11|a": 1}
    assert linked.who(f"{query} WHERE COUNT(returns.*) > 0 AND lines.line = 'b'", A) == ["1|b"]
    assert linked.labels(
        "PREDICT COUNT(returns.* WHERE lines.line = 'a', 0, 30) FOR EACH lines.(line, order_id)", A
    ) == {
        "1|a": 2,
        "1|b": 0,
        "11|a": 1,
    }
    found = collect(
        linked.bound(f"{query} WHERE lines.order_id > 0"), linked.schema, linked.warehouse, Options(context_size=9)
    )
    assert any(feature.name.startswith("returns.count") for feature in found.features_meta)
    assert not any("order_id" in feature.name for feature in found.features_meta), "keys are no features"


def test__key_of_one_column__rows_stay_as_they_are(shop: World) -> None:
    task, schema = bound(shop, "PREDICT products.kind FOR EACH products.product_id")
    rows = pa.table({"product_id": [1]})
    assert as_asked(rows, task, schema, shop.warehouse) is rows


@pytest.mark.parametrize("dialect", ["duckdb", "snowflake", "postgres"])
def test__key_of_two_columns__labels__are_written_for_every_warehouse(shop: World, dialect: str) -> None:
    parsed = parse("PREDICT lines.returned FOR EACH lines.(order_id, line)")
    schema = schema_for(parsed, shop.schema, dialect)
    text = labels_select(bind(parsed, schema), Graph(schema, dialect), "anchors").sql(dialect=dialect)
    assert '"e"."order_id, line" AS "entity"' in text and "REPLACE" in text.upper()


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (
            "lines.order_id",
            r"the key of lines has several columns: order_id, line(.|\n)*FOR EACH lines.\(order_id, line\)",
        ),
        ("lines.(order_id, quantity)", r"\(order_id, quantity\) is not the key of lines: the key is order_id, line"),
        ("lines.(order_id, lines)", "table lines has no column lines"),
        (
            "orders.(order_id, placed_at)",
            "is not the key of orders: the key is order_id(.|\n)*FOR EACH orders.order_id",
        ),
        ("nowhere.(a, b)", "no table nowhere"),
    ],
)
def test__key__that_is_none__says_what_it_is(shop: World, entity: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        bound(shop, f"PREDICT COUNT(lines.*, 0, 30) FOR EACH {entity}")


def test__classify_top__keeps_the_likeliest_classes(shop: World) -> None:
    task, schema = bound(shop, "PREDICT products.kind CLASSIFY TOP 2 FOR EACH products.product_id")
    rows = pa.table({"product_id": [1, 1, 1], "class": ["a", "b", "c"], "rank": [2, 1, 3]})
    assert as_asked(rows, task, schema, shop.warehouse)["class"].to_pylist() == ["a", "b"]
    everything, _ = bound(shop, "PREDICT products.kind CLASSIFY FOR EACH products.product_id")
    assert as_asked(rows, everything, schema, shop.warehouse) is rows
    with pytest.raises(QueryError, match="CLASSIFY needs a target that is one of several classes, this is binary"):
        bound(shop, "PREDICT lines.returned CLASSIFY FOR EACH lines.(order_id, line)")
