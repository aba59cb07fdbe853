from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from dbt_rfm.errors import QueryError
from dbt_rfm.pql import ast
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.tree import MAX_DEPTH

HERE = Path(__file__).parent
VALID = [q for q in (HERE / "valid.pql").read_text().splitlines() if not q.startswith("#")]
FOR_EACH = "FOR EACH customers.customer_id"

CUSTOMER_ID = ast.ColumnRef("customers", "customer_id")
ALL_ORDERS = ast.ColumnRef("orders", "*")


def where(condition: str) -> ast.Condition:
    found = parse(f"PREDICT COUNT(orders.*, 0, 30) {FOR_EACH} WHERE {condition}").where
    assert found is not None
    return found


def right(literal: str) -> object:
    comparison = where(f"customers.x = {literal}")
    assert isinstance(comparison, ast.Comparison)
    return comparison.right.value


@pytest.mark.parametrize("query", VALID)
def test__parse__each_query_of_the_corpus__is_read(query: str) -> None:
    parsed = parse(query)
    assert parsed.text == query
    assert parsed.entity.column not in ("", "*")


def test__corpus__covers_the_grammar() -> None:
    assert len(VALID) >= 60
    assert len(set(VALID)) == len(VALID)


def test__parse__churn_query__gives_the_whole_tree() -> None:
    text = f"PREDICT COUNT(orders.*, 0, 30, days) = 0 {FOR_EACH} WHERE COUNT(orders.*, -90, 0, days) > 0"
    assert parse(text) == ast.Query(
        target=ast.Comparison(
            ast.Aggregation("COUNT", ALL_ORDERS, window=ast.Window(0, 30, "days")), "=", ast.Literal(0)
        ),
        entity=CUSTOMER_ID,
        where=ast.Comparison(
            ast.Aggregation("COUNT", ALL_ORDERS, window=ast.Window(-90, 0, "days")), ">", ast.Literal(0)
        ),
    )


def test__parse__value_query_with_inner_where__gives_an_aggregation() -> None:
    parsed = parse(f"PREDICT SUM(orders.amount WHERE orders.status != 'void', 0, 2, Months) {FOR_EACH}")
    status = ast.Comparison(ast.ColumnRef("orders", "status"), "!=", ast.Literal("void"))
    amount = ast.ColumnRef("orders", "amount")
    assert parsed.target == ast.Aggregation("SUM", amount, status, ast.Window(0, 2, "months"))


def test__parse__attribute__gives_a_column() -> None:
    assert parse(f"PREDICT customers.segment {FOR_EACH}").target == ast.ColumnRef("customers", "segment")


def test__parse__assuming__is_kept_apart_from_where() -> None:
    parsed = parse(f"PREDICT COUNT(orders.*, 0, 30) {FOR_EACH} WHERE customers.age > 3 ASSUMING COUNT(v.*, 0, 3) > 0")
    assert parsed.where == ast.Comparison(ast.ColumnRef("customers", "age"), ">", ast.Literal(3))
    visits = ast.Aggregation("COUNT", ast.ColumnRef("v", "*"), window=ast.Window(0, 3))
    assert parsed.assuming == ast.Comparison(visits, ">", ast.Literal(0))


def test__parse__and_or_not__bind_in_this_order() -> None:
    a, b, c = (ast.Comparison(ast.ColumnRef("t", n), "=", ast.Literal(1)) for n in "abc")
    assert where("t.a = 1 OR t.b = 1 AND NOT t.c = 1") == ast.Or((a, ast.And((b, ast.Not(c)))))
    assert where("(t.a = 1 OR t.b = 1) AND t.c = 1") == ast.And((ast.Or((a, b)), c))
    assert where("t.a = 1 AND t.b = 1 AND t.c = 1") == ast.And((a, b, c))
    assert where("NOT (t.a = 1 OR t.b = 1)") == ast.Not(ast.Or((a, b)))


@pytest.mark.parametrize(
    ("written", "operator"),
    [
        ("= 1", "="),
        ("!= 1", "!="),
        ("<> 1", "!="),
        ("< 1", "<"),
        ("<= 1", "<="),
        ("> 1", ">"),
        (">= 1", ">="),
        ("is null", "IS"),
        ("is not null", "IS NOT"),
        ("in (1, 2)", "IN"),
        ("is in (1, 2)", "IN"),
        ("not in (1, 2)", "NOT IN"),
        ("is not in (1, 2)", "NOT IN"),
        ("like 'a'", "LIKE"),
        ("not like 'a'", "NOT LIKE"),
        ("contains 'a'", "CONTAINS"),
        ("not  contains 'a'", "NOT CONTAINS"),
        ("starts with 'a'", "STARTS WITH"),
        ("ends\nwith 'a'", "ENDS WITH"),
    ],
)
def test__parse__each_operator__has_one_spelling(written: str, operator: str) -> None:
    comparison = where(f"customers.x {written}")
    assert isinstance(comparison, ast.Comparison)
    assert comparison.operator == operator


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("1.50", Decimal("1.50")),
        ("-.5", Decimal("-0.5")),
        ("2e3", Decimal("2e3")),
        ("true", True),
        ("FALSE", False),
        ("'gold'", "gold"),
        ("''", ""),
        ("'it''s'", "it's"),
        ("'# -- ;'", "# -- ;"),
        ("2024-02-29", datetime(2024, 2, 29)),
        ("2024-02-29 12:30", datetime(2024, 2, 29, 12, 30)),
        ("2024-02-29T12:30:15", datetime(2024, 2, 29, 12, 30, 15)),
        ("2024-02-29T12:30:15Z", datetime(2024, 2, 29, 12, 30, 15)),
        ("2024-02-29T12:30:15+02:00", datetime(2024, 2, 29, 10, 30, 15)),
    ],
)
def test__parse__each_literal__has_its_value_and_type(literal: str, value: object) -> None:
    found = right(literal)
    assert found == value
    assert type(found) is type(value)


def test__parse__null__is_none() -> None:
    assert where("customers.x IS NULL") == ast.Comparison(ast.ColumnRef("customers", "x"), "IS", ast.Literal(None))


def test__parse__array__keeps_its_order_and_types() -> None:
    comparison = where("customers.x IN (2, 'b', NULL, 1.5)")
    assert isinstance(comparison, ast.Comparison)
    assert comparison.right.value == (2, "b", None, Decimal("1.5"))


@pytest.mark.parametrize("unit", ["second", "minute", "hour", "day", "week", "month"])
def test__parse__units__singular_plural_and_any_case(unit: str) -> None:
    for written in (unit, f"{unit}s", unit.upper(), f"{unit.title()}s"):
        target = parse(f"PREDICT COUNT(orders.*, 0, 30, {written}) {FOR_EACH}").target
        assert isinstance(target, ast.Aggregation)
        assert target.window == ast.Window(0, 30, f"{unit}s")


def test__parse__window_since_ever__has_no_start() -> None:
    comparison = where("COUNT(orders.*, -INF, 0) > 0")
    assert isinstance(comparison, ast.Comparison) and isinstance(comparison.left, ast.Aggregation)
    assert comparison.left.window == ast.Window(None, 0, "days")


def test__parse__no_window__is_a_static_aggregation() -> None:
    assert parse(f"PREDICT COUNT(orders.*) {FOR_EACH}").target == ast.Aggregation("COUNT", ALL_ORDERS)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("FORECAST 8 TIMEFRAMES", ast.Problem("FORECAST", 8)),
        ("RANK TOP 12", ast.Problem("RANK", 12)),
        ("TOP 12", ast.Problem("RANK", 12)),
        ("CLASSIFY TOP 3", ast.Problem("CLASSIFY", 3)),
        ("RANK", ast.Problem("RANK")),
        ("classify", ast.Problem("CLASSIFY")),
        ("", None),
    ],
)
def test__parse__problems__name_and_number(written: str, problem: ast.Problem | None) -> None:
    assert parse(f"PREDICT SUM(orders.amount, 0, 7) {written} {FOR_EACH}").problem == problem


def test__parse__command__stands_before_predict() -> None:
    assert parse(f"explain PREDICT COUNT(orders.*, 0, 7) {FOR_EACH}").command == "EXPLAIN"
    assert parse(f"EVALUATE PREDICT COUNT(orders.*, 0, 7) {FOR_EACH}").command == "EVALUATE"
    assert parse(f"PREDICT COUNT(orders.*, 0, 7) {FOR_EACH}").command is None


def test__parse__entity_ids__one_or_a_list() -> None:
    one = parse("PREDICT COUNT(orders.*, 0, 7) FOR customers.customer_id = 7")
    assert one.entity == CUSTOMER_ID
    assert one.entity_ids == ast.Comparison(CUSTOMER_ID, "=", ast.Literal(7))
    several = parse("PREDICT COUNT(orders.*, 0, 7) FOR EACH customers.customer_id IN ('a', 'b') WHERE t.x = 1")
    assert several.entity_ids == ast.Comparison(CUSTOMER_ID, "IN", ast.Literal(("a", "b")))
    assert several.where is not None


def test__parse__backticks__quote_any_name() -> None:
    target = parse(f"PREDICT SUM(`order list`.`tax ``net`, 0, 7) {FOR_EACH}").target
    assert isinstance(target, ast.Aggregation)
    assert target.column == ast.ColumnRef("order list", "tax `net")


def test__parse__comments__are_left_out() -> None:
    text = f"# what\nPREDICT COUNT(orders.*, -- since\n 0, 7) # 'until\n{FOR_EACH} -- end"
    assert parse(text) == parse(f"PREDICT COUNT(orders.*, 0, 7) {FOR_EACH}")


def test__parse__spans__cover_what_was_written() -> None:
    text = f"PREDICT COUNT(orders.*, 0, 30) = 0\n {FOR_EACH} WHERE customers.age > 30"
    parsed = parse(text)
    assert isinstance(parsed.target, ast.Comparison) and isinstance(parsed.target.left, ast.Aggregation)
    assert isinstance(parsed.where, ast.Comparison)

    def written(span: ast.Span) -> str:
        return text[span.start : span.end]

    assert written(parsed.target.left.span) == "COUNT(orders.*, 0, 30)"
    assert written(parsed.target.left.column.span) == "orders.*"
    assert written(parsed.target.right.span) == "0"
    assert written(parsed.entity.span) == "customers.customer_id"
    assert written(parsed.where.span) == "customers.age > 30"


def test__parse__nesting__up_to_the_limit() -> None:
    def nested(depth: int) -> str:
        return f"{'(' * depth}customers.x = 1{')' * depth}"

    assert where(nested(MAX_DEPTH)) == where("customers.x = 1")
    for condition in (nested(MAX_DEPTH + 1), nested(3_000), "NOT " * 3_000 + "customers.x = 1"):
        with pytest.raises(QueryError, match=f"nested more than {MAX_DEPTH} levels"):
            where(condition)


def test__parse__long_lists_and_chains__are_read() -> None:
    assert len(right_list(f"({', '.join(map(str, range(3_000)))})")) == 3_000
    chain = where(" AND ".join(["customers.x = 1"] * 500))
    assert isinstance(chain, ast.And) and len(chain.operands) == 500


def right_list(literal: str) -> tuple[object, ...]:
    comparison = where(f"customers.x IN {literal}")
    assert isinstance(comparison, ast.Comparison) and isinstance(comparison.right.value, tuple)
    return comparison.right.value


def test__parse__too_long_a_text__is_refused_before_it_is_read() -> None:
    with pytest.raises(QueryError, match="at most 50,000"):
        parse("PREDICT " + " " * 50_000)


def test__import__of_the_room__does_not_load_lark() -> None:
    code = "import sys, dbt_rfm.pql.parser, dbt_rfm.pql.binder, dbt_rfm.pql.describe; sys.exit('lark' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parents[2])
