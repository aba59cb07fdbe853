"""Every example of docs/query_language.md is run on a small shop, and its error is the one that users see."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from lark import Lark
from shop_schema import LABELS, SHOP, column, key, table

from dbt_rfm.errors import QueryError
from dbt_rfm.options import Options
from dbt_rfm.pql.ast import UNITS
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.keys import schema_for
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.tree import AGGREGATIONS
from dbt_rfm.schema.types import Link, RelationalSchema
from dbt_rfm.survey import survey
from dbt_rfm.warehouse.duckdb import DuckDB

PAGE = (Path(__file__).parents[3] / "docs" / "query_language.md").read_text()
EXAMPLES = re.findall(r"^```pql ?(\w*)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
COMPANY = RelationalSchema(
    (
        table(
            "employees",
            "employee_id",
            "hired_at",
            *(key("employee_id"), key("manager_id"), column("hired_at", "TIMESTAMP"), column("level", "INTEGER")),
        ),
    ),
    (Link("employees", "manager_id", "employees", "employee_id"),),
)
# Two years of a shop; an order is delivered within four days.
ROWS = """
create schema shop;
create table shop.stores as select i::bigint as store_id, case i % 2 when 0 then 'north' else 'south' end as region,
    (i * 100)::int as size from range(1, 5) t(i);
create table shop.customers as select i::bigint as customer_id,
    case when i % 7 > 0 then (i % 4 + 1)::bigint end as home_store_id,
    'c' || i || '@shop.org' as email,
    case i % 4 when 0 then 'gold' when 1 then 'silver' when 2 then 'basic' end as segment,
    'likes ' || i as about, case when i % 5 > 0 then (20 + i)::int end as age, i % 2 = 0 as is_member,
    date '1980-01-01' + i::int as born_on from range(1, 41) t(i);
create table shop.orders as select (i * 1000 + k)::bigint as order_id, i::bigint as customer_id,
    (i % 4 + 1)::bigint as store_id, timestamp '2024-12-31' - to_days((k * (i % 9 + 3))::int) as ordered_at,
    (ordered_at + to_days((k % 5)::int))::timestamptz as delivered_at,
    case (i + k) % 3 when 0 then 'returned' else 'paid' end as status,
    ((i * 7 + k * 13) % 90 + 3)::decimal(12, 2) as amount, case when k > 2 then (i + k) % 4 = 0 end as is_gift,
    '{}'::json as payload, (k % 5)::int as rank from range(1, 41) t(i), range(0, 90) s(k) where k * (i % 9 + 3) < 700
    and (i % 3 > 0 or k % 16 < 5); -- a third of the customers pause now and then
create table shop.products as select i::bigint as product_id, 'p' || i as name, (i * 5)::double as price
    from range(1, 13) t(i);
create table shop.order_items as select row_number() over (order by order_id)::bigint as order_item_id, order_id,
    (order_id * 7 % 12 + 1)::bigint as product_id, (order_id % 4 + 1)::int as quantity,
    case order_id % 3 when 0 then 'food' else 'toys' end as category from shop.orders;
create table shop.transfers as select (i % 40 + 1)::bigint as sender_id, (i * 7 % 40 + 1)::bigint as receiver_id,
    timestamp '2024-12-31' - to_days((i % 700)::int) as sent_at, (i % 50)::double as amount from range(0, 2000) t(i);
create table shop.notes (note_id bigint, customer_id bigint, stars int);
create table shop.weather (day date, degrees double);
create table shop.lines as select order_id, k::bigint as line_no,
    case when order_id % 5 > 0 then (order_id % 7 + k)::int end as qty from shop.orders, range(1, 3) s(k);
create table shop.employees as select i::bigint as employee_id,
    case when i > 1 then (i // 4 + 1)::bigint end as manager_id,
    timestamp '2021-01-01' + to_days((i * 13)::int) as hired_at, (i % 4)::int as level from range(1, 110) t(i);
"""


@pytest.fixture(scope="module")
def warehouse() -> DuckDB:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(ROWS)
    return DuckDB(connection)


def test__page__has_an_example_of_every_construct() -> None:
    text = " ".join(query for _, query in EXAMPLES)
    words = (
        "VIA WHERE ASSUMING FORECAST RANK CLASSIFY EXCLUDE AND OR NOT LIKE CONTAINS STARTS ENDS IN IS months hours days"
    )
    for word in [*words.split(), *AGGREGATIONS, " / ", " * ", " - ", ".("]:
        assert word in text, word
    for name in (*AGGREGATIONS, *UNITS):
        assert name in PAGE


@pytest.mark.parametrize(("world", "query"), [(world, query) for world, query in EXAMPLES if world != "labels"])
def test__page__each_example__finds_labels_and_somebody_to_ask(warehouse: DuckDB, world: str, query: str) -> None:
    parsed = parse(query)
    schema = schema_for(parsed, COMPANY if world else SHOP, "duckdb")
    found = survey(bind(parsed, schema), schema, warehouse, Options())
    assert found.examples >= 20 and found.asked >= 1
    assert len(found.classes) >= 2 or found.spread.get("min") != found.spread.get("max")


@pytest.mark.parametrize("query", [query for world, query in EXAMPLES if world == "labels"])
def test__page__each_example_of_a_label_table__binds(query: str) -> None:
    assert describe(bind(parse(query), SHOP, labels=LABELS))


def test__page__error__is_the_one_that_is_raised() -> None:
    with pytest.raises(QueryError) as caught:
        parse("PREDICT COUNT(orders.*, 0, 30, days) = 0\nFOR EACCH customers.customer_id")
    assert f"```\n{caught.value}\n```" in PAGE


def test__page__python__reads_the_grammar() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(code, names)
    assert isinstance(names["Lark"], type) and issubclass(Lark, names["Lark"]) and names["tree"].data == "start"
