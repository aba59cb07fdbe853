"""Every construct of the query language, asked of a small shop on DuckDB; the answers are worked out by hand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hand_worked import World, world
from hand_worked_shop import A, C, small_shop

from dbt_rfm.errors import QueryError
from dbt_rfm.plan.event_labels import event_labels_select
from dbt_rfm.plan.graph import Graph
from dbt_rfm.pql.ast import UNITS, Window
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
def test__arithmetic__and_parents__in_where(shop: World, condition: str, expected: list[int]) -> None:
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


def test__event__where__sees_a_time_once_it_has_come(shop: World) -> None:
    query = "PREDICT orders.is_gift FOR EACH orders.order_id WHERE orders.delivered_at IS NULL AND customers.age > 0"
    select = event_labels_select(shop.bound(query), Graph(shop.schema, "duckdb"), A, Window(0, 0, "days"))
    rows = shop.warehouse.query(select).to_pylist()
    assert {r["entity"]: r["label"] for r in rows} == {1: False, 2: True, 3: False}, "all were delivered later"


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
    """The queries of this module that are held against an answer."""
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
