"""Every construct of the query language, asked of a small shop on DuckDB; the answers are worked out by hand.

Operators and conditions have a module of their own; that no construct is left out is seen here.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hand_worked import World, world
from hand_worked_shop import A, C, small_shop
from test_conditions import INNER, INNER_OF_ITEMS, INNER_OF_ORDERS, OPERATORS, WHERE, WHERE_COMPUTED

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.ast import UNITS
from dbt_rfm.pql.parser import _grammar
from dbt_rfm.pql.tree import AGGREGATIONS as FUNCTIONS


@pytest.fixture(scope="module")
def shop() -> World:
    return small_shop()


# --- aggregations

AGGREGATIONS = [
    ("COUNT(orders.*, 0, 30, days)", {1: 3, 2: 0, 3: 0}),
    ("COUNT(orders.fee, 0, 30, days)", {1: 2, 2: 0, 3: 0}),
    ("COUNT_DISTINCT(orders.store_id, 0, 30, days)", {1: 2, 2: 0, 3: 0}),
    ("COUNT_DISTINCT(orders.status, 0, 31, days)", {1: 2, 2: 0, 3: 0}),  # null is no value
    ("COUNT_DISTINCT(orders.delivered_at, 0, 30, days)", {1: 1, 2: 0, 3: 0}),  # one of them after the window
    ("COUNT_DISTINCT(orders.delivered_at, 0, 35, days)", {1: 2, 2: 0, 3: 0}),
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
    ("MAX(orders.delivered_at, 0, 30, days) < '2024-05-02'", {1: True}),  # what comes later is not known then
    ("MAX(orders.delivered_at, 0, 35, days) < '2024-05-02'", {1: False}),
    ("FIRST(orders.delivered_at, 0, 30, days) = 2024-04-11", {1: True}),
    ("LAST(orders.ordered_at, 0, 30, days) = '2024-04-30 12:00'", {1: True}),
]


@pytest.mark.parametrize(("target", "expected"), TIMES)
def test__aggregation__of_times__is_compared_with_a_moment(shop: World, target: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT {target} {C}", A) == expected


# --- windows

WINDOWS = [
    ("0, 30", {1: 3, 2: 0, 3: 0}),  # days unless said otherwise
    ("0, 31, days", {1: 4, 2: 0, 3: 0}),
    ("10, 20, days", {1: 1, 2: 0, 3: 0}),  # the start is left out, the end belongs to it
    ("0, 10, day", {1: 1, 2: 0, 3: 0}),
    ("0, 2, weeks", {1: 1, 2: 0, 3: 0}),
    ("0, 480, hours", {1: 2, 2: 0, 3: 0}),
    ("0, 28800, minutes", {1: 2, 2: 0, 3: 0}),
    ("0, 1728000, seconds", {1: 2, 2: 0, 3: 0}),
    ("0, 1, month", {1: 3, 2: 0, 3: 0}),  # 31 March plus a month is 30 April
]
PAST_WINDOWS = [
    ("-1, 0, months", {1: 2, 2: 0, 3: 0}),  # from 29 February 12:00, which is left out
    ("-3, 0, months", {1: 2, 2: 1, 3: 0}),
    ("-31, 0, days", {1: 2, 2: 0, 3: 0}),
    ("-INF, 0", {1: 3, 2: 1, 3: 0}),
    ("-INF, -1, months", {1: 1, 2: 1, 3: 0}),
    ("-INF, -1, day", {1: 2, 2: 1, 3: 0}),
    (None, {1: 3, 2: 1, 3: 0}),  # no window: all rows known
]


@pytest.mark.parametrize(("window", "expected"), WINDOWS)
def test__window__ahead(shop: World, window: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT COUNT(orders.*, {window}) {C}", A) == expected


@pytest.mark.parametrize(("window", "expected"), PAST_WINDOWS)
def test__window__back__in_where(shop: World, window: str | None, expected: dict) -> None:
    counted = f"COUNT(orders.*, {window})" if window else "COUNT(orders.*)"
    for number in range(4):
        who = [entity for entity, n in expected.items() if n == number]
        assert shop.who(f"PREDICT COUNT(orders.*, 0, 9) {C} WHERE {counted} = {number}", A) == who


def test__month__from_the_last_day__ends_on_the_last_day_of_a_leap_february() -> None:
    script = """
    create table c (id integer); insert into c values (1);
    create table o (c_id integer, t timestamp);
    insert into o values (1, '2024-02-29 00:00'), (1, '2024-02-29 00:01'), (1, '2024-03-31');
    """
    found = world(script, keys={"c": "id"}, times={"o": "t"}, links=["o.c_id -> c.id"])
    end_of_january = datetime(2024, 1, 31)
    assert found.labels("PREDICT COUNT(o.*, 0, 1, months) FOR EACH c.id", end_of_january) == {1: 1}
    assert found.labels("PREDICT COUNT(o.*, 1, 2, months) FOR EACH c.id", end_of_january) == {1: 2}


# --- arithmetic

ARITHMETIC = [
    ("SUM(orders.amount, 0, 30) / COUNT(orders.*, 0, 30)", {1: 100 / 3}),  # divided by nothing: undefined
    ("SUM(orders.amount, 0, 30) - SUM(orders.amount, -31, 0) * 2", {1: 0.0, 2: 0.0, 3: 0.0}),
    ("(COUNT(orders.*, 0, 30) + 1) * -2", {1: -8.0, 2: -2.0, 3: -2.0}),
    ("AVG(orders.amount, 0, 30) + COUNT(orders.*, 0, 30)", {1: 53.0}),  # plus something undefined: undefined
    ("SUM(orders.fee, 0, 30) / 2.5", {1: 3.6, 2: 0.0, 3: 0.0}),
    ("-COUNT(orders.*, 0, 30)", {1: -3.0, 2: 0.0, 3: 0.0}),
    ("2 - 3 - COUNT(orders.*, 0, 30)", {1: -4.0, 2: -1.0, 3: -1.0}),  # from the left
    ("12 / 2 / COUNT(orders.*, 0, 30)", {1: 2.0}),
    ("2 + 3 * COUNT(orders.*, 0, 30)", {1: 11.0, 2: 2.0, 3: 2.0}),
    ("COUNT(orders.*, 0, 30) * customers.age", {1: 90.0, 2: 0.0}),
    ("COUNT(orders.*, 0, 30) - COUNT(orders.*)", {1: 0.0, 2: -1.0, 3: 0.0}),
    ("COUNT(orders.*, 0, 30) / 0", {}),
    ("SUM(orders.amount, 0, 30) * 1e38 * 1e38 * 1e38 * 1e38 * 1e38 * 1e38 * 1e38 * 1e38 * 1e38", {2: 0.0, 3: 0.0}),
]
TWO_SIDES = [
    ("COUNT(orders.*, 0, 30) > COUNT(orders.*, -INF, 0)", {1: False, 2: False, 3: False}),
    ("COUNT(orders.*, 0, 30) >= COUNT(orders.*)", {1: True, 2: False, 3: True}),
    ("SUM(orders.amount, 0, 30) >= 2 * SUM(orders.amount, -31, 0)", {1: True, 2: True, 3: True}),
    ("2 < COUNT(orders.*, 0, 30)", {1: True, 2: False, 3: False}),
    ("SUM(orders.amount, 0, 30) / COUNT(orders.*, 0, 30) > 30", {1: True}),
    ("NOT SUM(orders.amount, 0, 30) / COUNT(orders.*, 0, 30) > 30", {1: False}),
    ("LAST(orders.status, 0, 20) = LAST(orders.status, -INF, 0)", {1: False}),
    ("MAX(orders.amount, 0, 30) > customers.age + stores.store_id", {1: True}),
]


@pytest.mark.parametrize(("target", "expected"), ARITHMETIC + TWO_SIDES)
def test__arithmetic__as_a_target_and_on_either_side(shop: World, target: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT {target} {C}", A) == pytest.approx(expected)


# --- attributes, ASSUMING, entities by name

ATTRIBUTES = [
    ("customers.segment", {1: "gold", 2: "Gold"}),
    ("customers.age", {1: 30, 2: 40}),
    ("customers.age > 30", {1: False, 2: True}),
    ("customers.age * 2 + 1", {1: 61, 2: 81}),
]


@pytest.mark.parametrize(("target", "expected"), ATTRIBUTES)
def test__attribute__is_the_label_where_it_is_known(shop: World, target: str, expected: dict) -> None:
    assert shop.labels(f"PREDICT {target} {C}", A) == expected


ASSUMING = [
    ("COUNT(orders.*, 0, 30) > 0", {1: True}),
    ("SUM(orders.amount, 0, 20) / COUNT(orders.*, 0, 20) >= 50", {1: True}),
    ("NOT COUNT(orders.*, 0, 30) > 0", {2: False, 3: False}),
]


@pytest.mark.parametrize(("condition", "expected"), ASSUMING)
def test__assuming__narrows_what_is_learnt_from_and_not_who_is_asked(
    shop: World, condition: str, expected: dict
) -> None:
    query = f"PREDICT COUNT(orders.* WHERE orders.status = 'paid', 0, 30) > 0 {C} ASSUMING {condition}"
    assert shop.labels(query, A) == expected
    assert shop.who(query, A) == [1, 2, 3]


NAMED = [
    ("FOR customers.customer_id = 2", [2]),
    ("FOR EACH customers.customer_id IN (3, 1, 99)", [1, 3]),
    ("FOR EACH customers.customer_id IS IN (3) WHERE customers.age > 0", []),
]


@pytest.mark.parametrize(("entity", "expected"), NAMED)
def test__entities_by_name__are_the_ones_asked(shop: World, entity: str, expected: list[int]) -> None:
    query = f"PREDICT COUNT(orders.*, 0, 30) {entity}"
    assert shop.asked(query, A) == expected
    everybody = [1, 2] if "WHERE" in entity else [1, 2, 3]
    assert sorted(shop.labels(query, A)) == everybody, "examples are learnt from all of them"


# --- what has no meaning says so


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("COUNT(orders.*)", "nothing in the target looks forward"),
        ("COUNT(orders.*, -30, 0) > 2", "nothing in the target looks forward"),
        ("3 + 4", "a target of columns alone is not executed"),
        ("3", "expected an aggregation or a column to predict, got a number"),
        ("3 = 3", "expected an aggregation or a column on one side"),
        ("COUNT(orders.*, -3, 3)", "the target looks forward, but the window"),
        ("LAST(orders.status, 0, 30) + 1", r"\+ takes numbers, LAST of orders.status \(VARCHAR\) is none"),
        ("LAST(orders.status, 0, 30) > COUNT(orders.*, 0, 30)", "cannot be compared"),
        ("LAST(orders.is_gift, 0, 30) > LAST(orders.is_gift, -30, 0)", "have no order for >"),
    ],
)
def test__target__without_meaning__is_refused(shop: World, target: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        shop.bound(f"PREDICT {target} {C}")


# --- nothing is left out

ELSEWHERE = {  # constructs with a module of their own
    "command": "words of the command line, tested there",
    "forecast": "test_forecast_plan.py",
    "rank": "test_recommendation_plan.py",
    "exclude_seen": "test_recommendation_plan.py",
    "classify": "test_entity_keys.py",
    "key": "test_entity_keys.py",
    "via": "test_ways.py",
}
TARGETS = [*AGGREGATIONS, *TIMES, *ARITHMETIC, *TWO_SIDES, *ATTRIBUTES]
CONDITIONS = [*WHERE, *WHERE_COMPUTED, *INNER, *INNER_OF_ORDERS, *INNER_OF_ITEMS]


def queries() -> list[str]:
    """The queries that are held against an answer, here and in test_conditions.py."""
    count = "PREDICT COUNT(orders.*, 0, 30)"
    found = [f"PREDICT {target} {C}" for target, _ in TARGETS]
    found += [f"{count} {C} WHERE {condition}" for condition, _ in CONDITIONS]
    found += [f"PREDICT LAST(orders.status, 0, 20) {operator} {C}" for operator, _ in OPERATORS]
    found += [f"PREDICT COUNT(orders.*, {window}) {C}" for window, _ in (*WINDOWS, *PAST_WINDOWS) if window]
    found += [f"{count} {C} ASSUMING {condition}" for condition, _ in ASSUMING]
    return found + [f"{count} {entity}" for entity, _ in NAMED]


def test__constructs__every_rule_operator_function_and_unit__has_an_answer_worked_out_by_hand() -> None:
    rules: set[str] = set()
    words: set[str] = set()
    for query in queries():
        tree = _grammar().parse(query)
        rules |= {str(part.data) for part in tree.iter_subtrees()}
        words |= {" ".join(t.upper() for t in part.children) for part in tree.find_pred(_is_operator)}
        words |= {str(token).upper() for token in tree.scan_values(lambda token: token.type == "WORD")}
    known = {rule.alias or str(rule.origin.name) for rule in _grammar().rules}
    inlined = {"target", "condition", "negation", "value", "sum", "product", "factor"}
    assert {name for name in known if not name.startswith("__")} - inlined - ELSEWHERE.keys() <= rules
    operators = "=, !=, <, <=, >, >=, IS, IS NOT, IN, NOT IN, IS IN, IS NOT IN, LIKE, NOT LIKE, CONTAINS, NOT CONTAINS"
    assert {*operators.split(", "), "STARTS WITH", "ENDS WITH"} <= words
    assert {*FUNCTIONS} - {"LIST_DISTINCT"} <= words
    assert all({unit.upper(), unit.upper()[:-1]} & words for unit in UNITS)


def test__constructs__with_a_module_of_their_own__have_it() -> None:
    for place in ELSEWHERE.values():
        assert not place.endswith(".py") or (Path(__file__).parent / place).exists()


def _is_operator(tree) -> bool:
    return tree.data in ("compare", "match", "list_operator")
