"""Every operator, and every place a condition can stand in, asked of a small shop on DuckDB; answers by hand."""

from __future__ import annotations

import pytest
from hand_worked import World, world
from hand_worked_shop import A, C, small_shop

from dbt_rfm.errors import QueryError
from dbt_rfm.plan.event_labels import event_labels_select
from dbt_rfm.plan.graph import Graph
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.delay import Delay


@pytest.fixture(scope="module")
def shop() -> World:
    return small_shop()


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
    ("LAST(orders.delivered_at, -100, 0, days) > '2024-04-01'", []),  # order 3 is delivered after A
    ("LAST(orders.delivered_at, -100, 0, days) = '2024-03-05'", [1]),
    ("COUNT(orders.* WHERE orders.delivered_at IS NULL, -100, 0, days) = 1", [1, 2]),  # on their way at A
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
    ("orders.delivered_at > '2024-04-30'", {1: 0, 2: 0, 3: 0}),  # after the window
    ("orders.delivered_at IS NULL", {1: 2, 2: 0, 3: 0}),
    ("orders.amount < 1e38 AND orders.amount > -1e-20", {1: 2, 2: 0, 3: 0}),
    ("orders.amount IN (40, 1e38) OR orders.fee = 99999999999999999999999999999999999999", {1: 1, 2: 0, 3: 0}),
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


WHERE_COMPUTED = [
    ("COUNT(orders.*) / COUNT(orders.*, -31, 0) >= 1.5", [1]),  # 3 / 2; 1 / 0 and 0 / 0 are undefined
    ("SUM(orders.amount) - customers.age > 20", [1]),
    ("COUNT(orders.*) = 0", [3]),
    ("COUNT(orders.* WHERE orders.status = 'paid') = 2", [1]),
    ("customers.age > COUNT(orders.*) * 20", [2]),
    ("stores.region = 'north'", [1]),  # of the home store
    ("stores.region IS NULL", [3]),
    ("LAST(orders.status) = 'returned' OR FIRST(orders.amount) = 5", [1, 2]),
]


@pytest.mark.parametrize(("condition", "expected"), WHERE_COMPUTED)
def test__where__of_arithmetic_and_parents__says_who_counts(shop: World, condition: str, expected: list[int]) -> None:
    assert shop.who(f"PREDICT COUNT(orders.*, 0, 30, days) {C} WHERE {condition}", A) == expected


# --- parents and tables beside the way, in WHERE of an aggregation

INNER_OF_ORDERS = [
    ("orders.amount > orders.fee * 10", 1),
    ("orders.ordered_at < orders.delivered_at", 1),
    ("stores.region = 'north'", 2),
    ("customers.segment = 'gold'", 3),
    ("customers.age > 30", 0),
]
INNER_OF_ITEMS = [
    ("order_items.quantity > 0", 18),
    ("orders.status = 'paid'", 11),
    ("products.category LIKE 'Jam%'", 6),
    ("products.price * order_items.quantity > 20", 6),
    ("orders.status = 'late' OR products.category = 'bread'", 12),
    ("customers.segment = 'gold' AND stores.region = 'north'", 18),
    ("products.category IS NULL", 7),
]


@pytest.mark.parametrize(("condition", "expected"), INNER_OF_ORDERS)
def test__inner_where__looks_at_parents(shop: World, condition: str, expected: int) -> None:
    found = shop.labels(f"PREDICT COUNT(orders.* WHERE {condition}, 0, 30) {C}", A)
    assert found == {1: expected, 2: 0, 3: 0}


@pytest.mark.parametrize(("condition", "expected"), INNER_OF_ITEMS)
def test__inner_where__looks_at_tables_on_the_way_and_beside_it(shop: World, condition: str, expected: int) -> None:
    found = shop.labels(f"PREDICT SUM(order_items.quantity WHERE {condition}, 0, 30) {C}", A)
    assert found == {1: expected, 2: 0, 3: 0}


def test__event__where__sees_a_time_once_it_has_come(shop: World) -> None:
    query = "PREDICT orders.is_gift FOR EACH orders.order_id WHERE orders.delivered_at IS NULL AND customers.age > 0"
    select = event_labels_select(shop.bound(query), Graph(shop.schema, "duckdb"), A, Delay(Window(0, 0)))
    rows = shop.warehouse.query(select).to_pylist()
    assert {r["entity"]: r["label"] for r in rows} == {1: False, 2: True, 3: False}, "all were delivered later"
