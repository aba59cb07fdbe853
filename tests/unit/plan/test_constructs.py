"""Every construct of the query language, asked of a small shop on DuckDB; the answers are worked out by hand.

The anchor A is the end of March 2024, 12:00. Three customers: 1 is busy, 2 ordered once, 3 never did.
"""

from __future__ import annotations

from datetime import datetime

import pytest
from hand_worked import World, world

from dbt_rfm.errors import QueryError

A = datetime(2024, 3, 31, 12)
C = "FOR EACH customers.customer_id"

SCRIPT = """
create table stores (store_id integer, region varchar);
insert into stores values (1, 'north'), (2, 'south');
create table customers (customer_id integer, home_store_id integer, name varchar, segment varchar, age integer);
insert into customers values (1, 1, 'Ann_A', 'gold', 30), (2, 2, 'Bob%', 'Gold', 40), (3, null, null, null, null);
create table orders (
    order_id integer, customer_id integer, billing_customer_id integer, store_id integer,
    ordered_at timestamp, delivered_at timestamp, status varchar, amount decimal(10, 2), fee integer, is_gift boolean);
insert into orders values
    -- before A
    (1, 1, 2, 1, '2023-12-31 12:00', '2024-01-02', 'paid',     10.00, 1,    false),
    (2, 1, 1, 2, '2024-03-01 12:00', '2024-03-05', 'paid',     20.00, 2,    true),
    (3, 1, 1, 2, '2024-03-31 12:00', '2024-04-02', 'returned', 30.00, null, false), -- at A: past, not future
    (4, 2, 2, 1, '2024-02-29 12:00', null,         'paid',      5.00, 0,    null),
    -- after A
    (5, 1, 2, 1, '2024-04-10 12:00', '2024-04-11', 'paid',     40.00, 4,    true),
    (6, 1, 1, 1, '2024-04-20 12:00', null,         'late',     60.00, 5,    false),
    (7, 1, 1, 2, '2024-04-30 12:00', '2024-05-02', null,        null, null, null),  -- 30 days and a month after A
    (8, 1, 1, 2, '2024-05-01 12:00', null,         'paid',     99.00, 9,    false); -- 31 days after A
create table products (product_id integer, category varchar, price double);
insert into products values (1, 'bread', 2.5), (2, 'Jam 5%', 4.0);
create table order_items (item_id integer, order_id integer, product_id integer, quantity integer);
insert into order_items values
    (1, 1, 1, 1), (2, 2, 1, 2), (3, 2, 2, 3), (4, 4, 2, 4), (5, 5, 1, 5), (6, 5, 2, 6), (7, 6, null, 7), (8, 8, 1, 8);
"""


@pytest.fixture(scope="module")
def shop() -> World:
    return world(
        SCRIPT,
        keys={
            "stores": "store_id",
            "customers": "customer_id",
            "orders": "order_id",
            "products": "product_id",
            "order_items": "item_id",
        },
        times={"orders": "ordered_at"},
        links=[
            "orders.customer_id -> customers.customer_id",
            "orders.store_id -> stores.store_id",
            "customers.home_store_id -> stores.store_id",
            "order_items.order_id -> orders.order_id",
            "order_items.product_id -> products.product_id",
        ],
    )


# --- aggregations

AGGREGATIONS = [
    ("COUNT(orders.*, 0, 30, days)", {1: 3, 2: 0, 3: 0}),
    ("COUNT(orders.fee, 0, 30, days)", {1: 2, 2: 0, 3: 0}),
    ("COUNT_DISTINCT(orders.store_id, 0, 30, days)", {1: 2, 2: 0, 3: 0}),
    ("COUNT_DISTINCT(orders.status, 0, 31, days)", {1: 2, 2: 0, 3: 0}),  # null is no value
    ("COUNT_DISTINCT(orders.delivered_at, 0, 30, days)", {1: 2, 2: 0, 3: 0}),
    ("SUM(orders.amount, 0, 30, days)", {1: 100.0, 2: 0.0, 3: 0.0}),
    ("AVG(orders.amount, 0, 30, days)", {1: 50.0}),
    ("MIN(orders.amount, 0, 30, days)", {1: 40.0}),
    ("MAX(orders.amount, 0, 30, days)", {1: 60.0}),
    ("FIRST(orders.amount, 0, 30, days)", {1: 40.0}),
    ("LAST(orders.amount, 0, 30, days)", {1: 60.0}),
    ("FIRST(orders.status, 0, 30, days)", {1: "paid"}),
    ("LAST(orders.status, 0, 30, days)", {1: "late"}),
    ("LAST(orders.is_gift, 0, 30, days)", {1: False}),
]


@pytest.mark.parametrize(("target", "expected"), AGGREGATIONS)
def test__aggregation__over_the_next_days(shop: World, target: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT {target} {C}", A) == expected


TIMES = [
    ("MIN(orders.delivered_at, 0, 30, days) < '2024-04-12'", {1: True}),
    ("MAX(orders.delivered_at, 0, 30, days) < '2024-05-02'", {1: False}),
    ("FIRST(orders.delivered_at, 0, 30, days) = 2024-04-11", {1: True}),
    ("LAST(orders.ordered_at, 0, 30, days) = '2024-04-30 12:00'", {1: True}),
]


@pytest.mark.parametrize(("target", "expected"), TIMES)
def test__aggregation__of_times__is_compared_with_a_moment(shop: World, target: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT {target} {C}", A) == expected


# --- operators, each in the target, in WHERE and inside an aggregation

OPERATORS = [  # on the last status in the next 20 days ('late' for customer 1), its truth
    ("= 'late'", True),
    ("!= 'late'", False),
    ("< 'm'", True),
    ("<= 'late'", True),
    ("> 'late'", False),
    (">= 'late'", True),
    ("IS NULL", False),
    ("IS NOT NULL", True),
    ("IN ('late', 'paid')", True),
    ("IS IN ('late')", True),
    ("NOT IN ('late', 'paid')", False),
    ("IS NOT IN ('paid')", True),
    ("LIKE 'l%'", True),
    ("LIKE 'L%'", False),
    ("LIKE '_ate'", True),
    ("LIKE 'ate'", False),
    ("NOT LIKE 'l%'", False),
    ("CONTAINS 'at'", True),
    ("CONTAINS 'AT'", False),
    ("CONTAINS '%'", False),
    ("NOT CONTAINS 'x'", True),
    ("STARTS WITH 'la'", True),
    ("STARTS WITH 'a'", False),
    ("ENDS WITH 'te'", True),
    ("ENDS WITH 'l'", False),
]


@pytest.mark.parametrize(("operator", "expected"), OPERATORS)
def test__operator__in_a_target(shop: World, operator: str, expected: bool) -> None:
    found = shop.labels(f"PREDICT LAST(orders.status, 0, 20, days) {operator} {C}", A)
    if "NULL" in operator:
        assert found == {1: expected, 2: not expected, 3: not expected}
    else:
        assert found == {1: expected}, "a comparison with nothing is undefined, and left out"


WHERE = [
    ("customers.segment = 'gold'", [1]),
    ("customers.segment LIKE '%old'", [1, 2]),
    ("customers.segment NOT LIKE 'g%'", [2]),  # of null undefined, so 3 is out
    ("NOT customers.segment LIKE 'g%'", [2]),
    ("customers.name LIKE '%_A'", [1]),  # _ is any one letter
    ("customers.name CONTAINS '_'", [1]),  # and here it is itself
    ("customers.name CONTAINS '%'", [2]),
    ("customers.name NOT CONTAINS '%'", [1]),
    ("customers.name STARTS WITH 'Ann'", [1]),
    ("customers.name ENDS WITH '%'", [2]),
    ("customers.name IS NULL", [3]),
    ("customers.age > 30 OR customers.name IS NULL", [2, 3]),
    ("customers.age >= 30 AND NOT (customers.segment = 'gold')", [2]),
    ("COUNT(orders.*, -31, 0, days) > 0", [1]),
    ("COUNT_DISTINCT(orders.status, -100, 0, days) = 2", [1]),
    ("LAST(orders.status, -100, 0, days) ENDS WITH 'ed'", [1]),
    ("LAST(orders.delivered_at, -100, 0, days) > '2024-04-01'", [1]),
]


@pytest.mark.parametrize(("condition", "expected"), WHERE)
def test__where__says_who_counts(shop: World, condition: str, expected: list[int]) -> None:
    query = f"PREDICT COUNT(orders.*, 0, 30, days) {C} WHERE {condition}"
    assert shop.who(query, A) == expected
    assert sorted(shop.labels(query, A)) == expected


INNER = [
    ("orders.status = 'paid'", {1: 1, 2: 0, 3: 0}),
    ("orders.status LIKE 'p%'", {1: 1, 2: 0, 3: 0}),
    ("orders.status NOT LIKE 'p%'", {1: 1, 2: 0, 3: 0}),  # the null one is neither
    ("orders.status CONTAINS 'a' AND orders.amount > 50", {1: 1, 2: 0, 3: 0}),
    ("orders.status NOT CONTAINS 'z'", {1: 2, 2: 0, 3: 0}),
    ("orders.status STARTS WITH 'l' OR orders.status IS NULL", {1: 2, 2: 0, 3: 0}),
    ("orders.status ENDS WITH 'd'", {1: 1, 2: 0, 3: 0}),
    ("orders.is_gift IS NOT TRUE", {1: 2, 2: 0, 3: 0}),
    ("orders.delivered_at > '2024-04-30'", {1: 1, 2: 0, 3: 0}),
]


@pytest.mark.parametrize(("condition", "expected"), INNER)
def test__inner_where__says_which_rows_count(shop: World, condition: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT COUNT(orders.* WHERE {condition}, 0, 30, days) {C}", A) == expected


TEXTS = [  # value, operator, truth: one rule for all warehouses
    (r"a\b", r"LIKE 'a\b'", True),  # a backslash is a letter like others
    (r"a\%", r"LIKE 'a\%'", True),
    (r"a\xx", r"LIKE 'a\%'", True),
    ("a%", r"LIKE 'a\%'", False),
    ("it''s", "CONTAINS 't''s'", True),
    ("it''s", "LIKE '%''_'", True),
    ("ÄB", "STARTS WITH 'Ä'", True),
    ("ÄB", "STARTS WITH 'ä'", False),
    ("ab", "STARTS WITH 'abc'", False),
    ("", "LIKE ''", True),
    ("", "LIKE '%'", True),
    ("a;b--c", "CONTAINS ';b--'", True),
]


@pytest.mark.parametrize(("text", "operator", "expected"), TEXTS)
def test__text_operator__letter_by_letter(text: str, operator: str, expected: bool) -> None:
    script = f"create table c (id integer, x varchar); insert into c values (1, '{text}'); "
    script += "create table o (c_id integer, t timestamp);"
    found = world(script, keys={"c": "id"}, times={"o": "t"}, links=["o.c_id -> c.id"])
    assert found.who(f"PREDICT COUNT(o.*, 0, 1) FOR EACH c.id WHERE c.x {operator}", A) == [1] * expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("customers.age LIKE '3%'", r"LIKE compares texts, customers.age \(INTEGER\) is none"),
        ("customers.name CONTAINS 3", "CONTAINS is followed by a text in single quotes, got 3"),
        ("customers.name STARTS WITH NULL", "STARTS WITH is followed by a text in single quotes, got NULL"),
        ("customers.name CONTAINS ''", "every text fulfils CONTAINS '': expected at least one character"),
        ("COUNT(orders.*, -9, 0) LIKE '3%'", r"LIKE compares texts, COUNT \(a number\) is none"),
    ],
)
def test__text_operator__of_what_is_no_text__is_refused(shop: World, condition: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        shop.bound(f"PREDICT COUNT(orders.*, 0, 30) {C} WHERE {condition}")
