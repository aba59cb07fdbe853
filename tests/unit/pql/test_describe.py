from __future__ import annotations

import pytest
from shop_schema import FORMULA_1, LABELS, SHOP

from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.keys import schema_for
from dbt_rfm.pql.parser import parse

FOR_EACH = "FOR EACH customers.customer_id"


def described(query: str, **given: object) -> dict[str, str]:
    lines = describe(bind(parse(query), **{"schema": SHOP, **given})).splitlines()  # type: ignore[arg-type]
    return {word: text.strip() for word, text in (line.split(":", 1) for line in lines)}


def test__describe__driver_dnf__reads_as_a_whole() -> None:
    query = (
        "PREDICT COUNT(results.* WHERE results.statusId != 1, 0, 30, days) > 0 FOR EACH drivers.driverId "
        "WHERE COUNT(results.*, -365, 0, days) > 0 ASSUMING COUNT(results.*, 0, 30, days) > 0"
    )
    assert describe(bind(parse(query), FORMULA_1)) == (
        "Predicts:    whether the number of rows of results (only where results.statusId is not 1) in the next 30 days"
        " is above 0\n"
        "Kind:        binary: a probability\n"
        "For:         each drivers.driverId, if the number of rows of results in the last 365 days is above 0\n"
        "Learns from: the same question asked every 30 days of the past, if the number of rows of results in the next"
        " 30 days is above 0\n"
        "No rows:     COUNT of no rows is 0, and counts.\n"
        "Path:        results.driverId -> drivers"
    )


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("SUM(orders.amount, 0, 2, months)", "the sum of orders.amount in the next 2 months"),
        ("LAST(orders.status, 0, 1, day)", "the last orders.status in the next 1 day"),
        ("COUNT(orders.status, 7, 30)", "the number of rows of orders with a status from 7 to 30 days ahead"),
        ("NOT COUNT(orders.*, 0, 3) != 2", "whether not (the number of rows of orders in the next 3 days is not 2)"),
        ("customers.segment", "customers.segment where it is null"),
        ("customers.age > 30", "whether customers.age is above 30, where that is not known"),
        (
            "SUM(orders.amount, 0, 3) / COUNT(orders.*, 0, 3) + 2",
            "((the sum of orders.amount in the next 3 days) divided by"
            " (the number of rows of orders in the next 3 days))"
            " plus 2",
        ),
        (
            "COUNT(orders.*, 0, 3) > 1.5 * COUNT(orders.*)",
            "whether the number of rows of orders in the next 3 days is above"
            " 1.5 times (the number of rows of orders so far)",
        ),
        ("COUNT_DISTINCT(orders.status, 0, 1)", "the number of different values of orders.status in the next 1 day"),
        (
            "LAST(orders.status, 0, 3) NOT CONTAINS 'x'",
            "whether the last orders.status in the next 3 days does not contain 'x'",
        ),
    ],
)
def test__describe__target__in_words(expression: str, words: str) -> None:
    assert described(f"PREDICT {expression} {FOR_EACH}")["Predicts"] == words


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("COUNT(orders.*, -INF, 0) > 2", "the number of rows of orders so far is above 2"),
        ("COUNT(orders.*, -INF, -7) > 2", "the number of rows of orders up to 7 days before is above 2"),
        ("COUNT(orders.*, -30, -7) > 2", "the number of rows of orders from 7 to 30 days before is above 2"),
        ("customers.email IS NULL", "customers.email is null"),
        ("customers.segment IN ('a', 'it''s')", "customers.segment is one of 'a', 'it''s'"),
        ("customers.born_on < '1990-05-01'", "customers.born_on is below '1990-05-01'"),
        (
            "customers.age > 3 AND (customers.age < 9 OR customers.is_member = TRUE)",
            "customers.age is above 3 and (customers.age is below 9 or customers.is_member is TRUE)",
        ),
    ],
)
def test__describe__where__in_words(condition: str, words: str) -> None:
    text = described(f"PREDICT COUNT(orders.*, 0, 30) {FOR_EACH} WHERE {condition}")["For"]
    assert text == f"each customers.customer_id, if {words}"


def test__describe__no_rows__zero_or_undefined() -> None:
    text = described(f"PREDICT COUNT(orders.*, 0, 30) = 0 OR AVG(orders.amount, 0, 30) < 3 {FOR_EACH}")["No rows"]
    assert text == "COUNT of no rows is 0, and counts. AVG of no rows is undefined: such a case is not learnt from."


def test__describe__no_rows__several_and_a_division() -> None:
    text = described(f"PREDICT SUM(orders.amount, 0, 30) / COUNT(orders.*, 0, 30) > 3 {FOR_EACH}")["No rows"]
    assert text == (
        "SUM and COUNT of no rows are 0, and count. A division by zero is undefined: such a case is not learnt from."
    )


def test__describe__no_rows__asked_whether_null__count() -> None:
    """As query_language.md says: an AVG of nothing is null, so it is learnt from where IS NULL asks for that."""
    text = described(f"PREDICT AVG(orders.amount, 0, 30) IS NULL {FOR_EACH}")["No rows"]
    assert text == "AVG of no rows is null, and counts."
    text = described(f"PREDICT SUM(orders.amount, 0, 30) / COUNT(orders.*, 0, 30) IS NOT NULL {FOR_EACH}")["No rows"]
    assert text == "SUM and COUNT of no rows are 0, and count."
    both = "MAX(orders.amount, 0, 30) IS NULL OR MAX(orders.amount, 0, 30) < 5"
    assert described(f"PREDICT {both} {FOR_EACH}")["No rows"] == (
        "MAX of no rows is null, and counts. MAX of no rows is undefined: such a case is not learnt from."
    )


def test__describe__times_in_rows__say_when_they_count() -> None:
    inner = "orders.delivered_at IS NULL AND orders.ordered_at > '2024-01-01'"
    query = f"PREDICT COUNT(orders.* WHERE {inner}, 0, 30) {FOR_EACH}"
    assert described(query)["Times"] == "orders.delivered_at is null until it has come."
    query += " WHERE MAX(orders.delivered_at) > '2024-01-01' AND customers.born_on < '1990-01-01'"
    assert described(query)["Times"] == "orders.delivered_at and customers.born_on are null until they have come."
    assert "Times" not in described(f"PREDICT LAST(orders.ordered_at, 0, 9) > '2024-01-01' {FOR_EACH}")


def test__describe__key_of_several_columns__in_parentheses() -> None:
    query = parse("PREDICT lines.qty FOR EACH lines.(order_id, line_no)")
    assert "each lines.(order_id, line_no)" in describe(bind(query, schema_for(query, SHOP, "duckdb")))


def test__describe__path__over_several_tables() -> None:
    text = described(f"PREDICT SUM(order_items.quantity, 0, 30) {FOR_EACH}")["Path"]
    assert text == "order_items.order_id -> orders.customer_id -> customers"


def test__describe__entities_named__are_listed() -> None:
    query = "PREDICT COUNT(orders.*, 0, 30) FOR customers.customer_id IN (1, 2, 3)"
    assert described(query)["For"] == "customers.customer_id 1, 2 and 3"


def test__describe__labels_and_attributes__learn_from_what_is_known() -> None:
    assert described(f"PREDICT customers.age {FOR_EACH}")["Learns from"] == "the rows where it is known"
    found = described(f"PREDICT labels.tier {FOR_EACH}", labels=LABELS)
    assert found["Predicts"] == "labels.tier, as the label table gives it"
    assert "No rows" not in found and "Path" not in found
