from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from golden_messages import read_messages
from shop_schema import CUSTOMERS, FORMULA_1, LABELS, ORDERS, SHOP, column

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundAnd,
    BoundColumn,
    BoundComparison,
    BoundNot,
    BoundOr,
    Task,
)
from dbt_rfm.schema.types import Link, RelationalSchema, Table
from dbt_rfm.task_kind import TaskKind

MESSAGES = read_messages("binding_errors.txt")
FOR_EACH = "FOR EACH customers.customer_id"
CHURN = f"PREDICT COUNT(orders.*, 0, 30, days) = 0 {FOR_EACH}"
REPOSITORY = Path(__file__).parents[3]
SUITE = Path(os.environ.get("DBT_RFM_SUITE") or REPOSITORY.parent / "shared" / "suite") / "f1" / "dataset.yml"

FORMULA_1_QUERIES = {
    "driver_dnf": (
        "PREDICT COUNT(results.* WHERE results.statusId != 1, 0, 30, days) > 0 FOR EACH drivers.driverId "
        "WHERE COUNT(results.*, -365, 0, days) > 0 ASSUMING COUNT(results.*, 0, 30, days) > 0"
    ),
    "driver_top3": (
        "PREDICT MIN(qualifying.position, 0, 30, days) <= 3 FOR EACH drivers.driverId "
        "WHERE COUNT(qualifying.*, -365, 0, days) > 0"
    ),
    "driver_position": (
        "PREDICT AVG(results.positionOrder, 0, 60, days) FOR EACH drivers.driverId "
        "WHERE COUNT(results.*, -365, 0, days) > 0"
    ),
}


def bound(query: str, schema: RelationalSchema = SHOP, labels: Table | None = None) -> Task:
    return bind(parse(query), schema, labels=labels)


def target(query: str) -> BoundAggregation:
    found = bound(query).target
    assert isinstance(found, BoundAggregation)
    return found


def value(condition: str) -> object:
    """What the value of a WHERE condition was made into."""
    where = bound(f"{CHURN} WHERE {condition}").where
    assert isinstance(where, BoundComparison)
    return where.value


@pytest.mark.parametrize(("query", "message"), MESSAGES)
def test__bind__bad_query__gets_its_message(query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        bound(query)
    assert str(caught.value) == message


def test__messages__are_many() -> None:
    assert len(MESSAGES) >= 50


def test__bind__churn__is_a_binary_task() -> None:
    task = bound(f"{CHURN} WHERE COUNT(orders.*, -90, 0, days) > 0")
    orders_of_customer = (Link("orders", "customer_id", "customers", "customer_id"),)
    assert task.kind is TaskKind.BINARY
    assert task.entity == BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id"))
    assert task.horizon == Window(0, 30, "days")
    ahead = BoundAggregation("COUNT", ORDERS, None, orders_of_customer, Window(0, 30, "days"))
    assert task.target == BoundComparison(ahead, "=", 0)
    assert task.where == BoundComparison(replace(ahead, window=Window(-90, 0, "days")), ">", 0)
    assert task.assuming is None and task.entity_ids == ()


def test__bind__aggregation__follows_several_links() -> None:
    found = target(f"PREDICT SUM(order_items.quantity, 0, 30) {FOR_EACH}")
    assert [str(link) for link in found.path] == [
        "order_items.order_id -> orders.order_id",
        "orders.customer_id -> customers.customer_id",
    ]


def test__bind__two_ways_of_unlike_length__takes_the_shorter_one() -> None:
    found = target("PREDICT COUNT(orders.*, 0, 30) FOR EACH stores.store_id")
    assert [str(link) for link in found.path] == ["orders.store_id -> stores.store_id"]


def test__bind__two_ways_over_two_tables__is_ambiguous() -> None:
    visits = Table("visits", "visits", (column("order_id", "BIGINT"), column("home_id", "BIGINT")), (), "at")
    homes = Table("homes", "homes", (column("id", "BIGINT"), column("customer_id", "BIGINT")), ("id",))
    links = (
        Link("visits", "order_id", "orders", "order_id"),
        Link("visits", "home_id", "homes", "id"),
        Link("homes", "customer_id", "customers", "customer_id"),
    )
    schema = RelationalSchema((*SHOP.tables, visits, homes), (*SHOP.links, *links))
    with pytest.raises(QueryError) as caught:
        bound(f"PREDICT COUNT(visits.*, 0, 30) {FOR_EACH}", schema)
    assert "visits.order_id -> orders.customer_id -> customers" in caught.value.problem
    assert "visits.home_id -> homes.customer_id -> customers" in caught.value.problem


def test__bind__link_to_itself__is_taken_where_it_is_the_only_one() -> None:
    referrer, sponsor = (Link("customers", name, "customers", "customer_id") for name in ("age", "home_store_id"))
    query = f"PREDICT COUNT(customers.*, 0, 30) {FOR_EACH}"
    timed = tuple(replace(t, time_column="born_on") if t is CUSTOMERS else t for t in SHOP.tables)
    found = bound(query, RelationalSchema(timed, (*SHOP.links, referrer))).target
    assert isinstance(found, BoundAggregation) and found.path == (referrer,)
    with pytest.raises(QueryError, match="several links to itself: customers"):
        bound(query, RelationalSchema(timed, (*SHOP.links, referrer, sponsor)))


def test__bind__entity_without_children__says_how_to_declare_links() -> None:
    with pytest.raises(QueryError, match="Nothing is linked to customers: declare its foreign keys with relationships"):
        bound(CHURN, RelationalSchema(SHOP.tables, ()))


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("COUNT(orders.*, 0, 30)", TaskKind.REGRESSION),
        ("COUNT(orders.status, 0, 30)", TaskKind.REGRESSION),
        ("SUM(orders.amount, 0, 30)", TaskKind.REGRESSION),
        ("MIN(orders.rank, 0, 30)", TaskKind.REGRESSION),
        ("SUM(orders.amount, 0, 30) > 100.5", TaskKind.BINARY),
        ("NOT COUNT(orders.*, 0, 30) > 0", TaskKind.BINARY),
        ("FIRST(order_items.category, 0, 30)", TaskKind.MULTICLASS),
        ("LAST(orders.status, 0, 30)", TaskKind.MULTICLASS),
        ("LAST(orders.is_gift, 0, 30)", TaskKind.BINARY),
        ("LAST(orders.amount, 0, 30)", TaskKind.REGRESSION),
        ("LAST(orders.status, 0, 30) = 'late'", TaskKind.BINARY),
        ("customers.segment", TaskKind.MULTICLASS),
        ("customers.about", TaskKind.MULTICLASS),
        ("customers.is_member", TaskKind.BINARY),
        ("customers.age", TaskKind.REGRESSION),
        ("customers.home_store_id", TaskKind.MULTICLASS),
        ("FIRST(orders.store_id, 0, 30)", TaskKind.MULTICLASS),
    ],
)
def test__bind__target__has_its_kind(expression: str, kind: TaskKind) -> None:
    assert bound(f"PREDICT {expression} {FOR_EACH}").kind is kind


def test__bind__foreign_key_that_says_when__is_no_target() -> None:
    visits = Table("visits", "visits", (column("visit_id", "BIGINT"), column("order_id", "BIGINT")), ("visit_id",))
    dated = replace(visits, time_link="order_id")
    link = Link("visits", "order_id", "orders", "order_id")
    with pytest.raises(QueryError, match="order_id says when rows of visits happened"):
        bound(
            "PREDICT visits.order_id FOR EACH visits.visit_id",
            RelationalSchema((*SHOP.tables, dated), (*SHOP.links, link)),
        )


def test__bind__attribute__has_no_horizon() -> None:
    task = bound(f"PREDICT customers.segment {FOR_EACH}")
    assert task.horizon is None
    assert task.target == BoundColumn(CUSTOMERS, CUSTOMERS.column("segment"))


def test__bind__attribute_of_a_thing_that_begins_to_exist__is_no_event() -> None:
    begun = replace(CUSTOMERS, time_column="born_on")
    schema = RelationalSchema((begun, ORDERS), (Link("orders", "customer_id", "customers", "customer_id"),))
    task = bind(parse(f"PREDICT customers.segment {FOR_EACH}"), schema)
    assert task.target == BoundColumn(begun, begun.column("segment"))


def test__bind__two_windows__horizon_is_the_furthest() -> None:
    task = bound(f"PREDICT COUNT(orders.*, 0, 30) = 0 AND SUM(orders.amount, 3, 9, weeks) > 1 {FOR_EACH}")
    assert task.horizon == Window(0, 9, "weeks")
    task = bound(f"PREDICT COUNT(orders.*, 0, 27, days) = 0 AND COUNT(orders.*, 0, 1, month) > 1 {FOR_EACH}")
    assert task.horizon == Window(0, 1, "months")


def test__bind__window_that_starts_later__keeps_its_start() -> None:
    assert target(f"PREDICT COUNT(orders.*, 7, 30) {FOR_EACH}").window == Window(7, 30, "days")
    assert bound(f"PREDICT COUNT(orders.*, 7, 30) {FOR_EACH}").horizon == Window(0, 30, "days")


def test__bind__names_in_another_case__are_found() -> None:
    task = bound("PREDICT SUM(ORDERS.Amount, 0, 30) FOR EACH Customers.CUSTOMER_ID WHERE customers.Age > 3")
    assert task.entity.column.name == "customer_id"
    assert isinstance(task.target, BoundAggregation)
    assert (task.target.table.name, task.target.column) == ("orders", ORDERS.column("amount"))


def test__bind__two_columns_that_differ_in_case__need_the_exact_one() -> None:
    twice = replace(CUSTOMERS, columns=(*CUSTOMERS.columns, column("Age", "INTEGER")))
    schema = RelationalSchema((twice, ORDERS), SHOP.links[:1])
    assert isinstance(bound(f"{CHURN} WHERE customers.Age > 3", schema).where, BoundComparison)
    with pytest.raises(QueryError, match="AGE names more than one column of customers: age and Age"):
        bound(f"{CHURN} WHERE customers.AGE > 3", schema)


def test__bind__column_called_like_a_keyword__is_found() -> None:
    assert target(f"PREDICT MAX(orders.rank, 0, 30) {FOR_EACH}").column == ORDERS.column("rank")


def test__bind__nested_conditions__keep_their_shape() -> None:
    where = bound(f"{CHURN} WHERE NOT (customers.age > 3 OR customers.email IS NULL) AND customers.segment = 'a'").where
    assert isinstance(where, BoundAnd) and isinstance(where.operands[0], BoundNot)
    assert isinstance(where.operands[0].operand, BoundOr)


def test__bind__inner_where__sees_the_rows() -> None:
    found = target(
        f"PREDICT COUNT(orders.* WHERE orders.amount >= 10 AND orders.status IN ('a', 'b'), 0, 30) {FOR_EACH}"
    )
    amount, status = (BoundColumn(ORDERS, ORDERS.column(name)) for name in ("amount", "status"))
    assert found.where == BoundAnd((BoundComparison(amount, ">=", 10), BoundComparison(status, "IN", ("a", "b"))))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("customers.age > 30", 30),
        ("customers.age > '30'", 30),
        ("customers.age > 30.0", 30),
        ("customers.age > 30.5", Decimal("30.5")),
        ("customers.segment = '007'", "007"),
        ("customers.is_member = 'Yes'", True),
        ("customers.is_member = 0", False),
        ("customers.is_member IS TRUE", True),
        ("customers.born_on >= '1990-05-01'", datetime(1990, 5, 1)),
        ("customers.born_on >= 1990-05-01", datetime(1990, 5, 1)),
        ("customers.born_on >= '1990-05-01T10:00:00+02:00'", datetime(1990, 5, 1, 8)),
        ("customers.customer_id IN (7, '8')", (7, 8)),
        ("customers.email IS NOT NULL", None),
        ("COUNT(orders.*, -30, 0) > '2'", 2),
        ("AVG(orders.amount, -30, 0) > 2.5", Decimal("2.5")),
        ("AVG(orders.amount, -30, 0) IS NULL", None),
        ("LAST(orders.status, -30, 0) = 'late'", "late"),
    ],
)
def test__bind__value__has_the_type_of_its_column(condition: str, expected: object) -> None:
    found = value(condition)
    assert found == expected
    assert type(found) is type(expected)


def test__bind__is_with_a_value__means_equals() -> None:
    for written, meant in (("IS", "="), ("IS NOT", "!=")):
        where = bound(f"{CHURN} WHERE customers.age {written} 3").where
        assert isinstance(where, BoundComparison) and where.operator == meant


def test__bind__entity_ids__have_the_type_of_the_key() -> None:
    assert bound("PREDICT COUNT(orders.*, 0, 3) FOR customers.customer_id = '7'").entity_ids == (7,)
    assert bound("PREDICT COUNT(orders.*, 0, 3) FOR EACH customers.customer_id IN (7, 8)").entity_ids == (7, 8)


def test__bind__rows_timed_by_their_parent__take_a_window() -> None:
    assert target(f"PREDICT COUNT(order_items.*, 0, 30) {FOR_EACH}").table.time_column is None


def test__bind__snapshot_rows__take_a_window() -> None:
    snapshot = replace(SHOP.table("notes"), valid_from="dbt_valid_from", valid_to="dbt_valid_to")
    schema = RelationalSchema((*(t for t in SHOP.tables if t.name != "notes"), snapshot), SHOP.links)
    assert bound(f"PREDICT COUNT(notes.*, 0, 30) {FOR_EACH}", schema).kind is TaskKind.REGRESSION


def test__bind__ever_so_far__needs_no_time() -> None:
    assert bound(f"{CHURN} WHERE COUNT(notes.*, -INF, 0) > 0").where is not None


def test__bind__assuming__may_reach_as_far_as_the_target() -> None:
    task = bound(f"{CHURN} ASSUMING COUNT(order_items.*, 7, 30) > 0 AND COUNT(orders.*, 0, 1, week) > 0")
    assert isinstance(task.assuming, BoundAnd)


def test__bind__label_table__is_the_target() -> None:
    for name, kind in (("label", TaskKind.BINARY), ("value", TaskKind.REGRESSION), ("tier", TaskKind.MULTICLASS)):
        task = bound(f"PREDICT labels.{name} {FOR_EACH} WHERE customers.age > 3", labels=LABELS)
        assert (task.kind, task.horizon) == (kind, None)
        assert task.target == BoundColumn(LABELS, LABELS.column(name))


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (CHURN, "a label table is given, so the target is one of its columns"),
        (f"PREDICT customers.segment {FOR_EACH}", "a label table is given, so the target is one of its columns"),
        (f"PREDICT labels.labl {FOR_EACH}", "table labels has no column labl"),
        (f"PREDICT labels.anchor_time {FOR_EACH}", "labels.anchor_time says whose label it is or when, it is no label"),
        (f"PREDICT labels.customer_id {FOR_EACH}", "labels.customer_id says whose label it is or when, it is no label"),
        (f"PREDICT labels.label {FOR_EACH} WHERE labels.value > 3", "a label table is not filtered by the query"),
        (
            f"PREDICT labels.label {FOR_EACH} ASSUMING COUNT(orders.*, 0, 3) > 0",
            "ASSUMING needs a target with a window",
        ),
    ],
)
def test__bind__label_table_used_otherwise__is_refused(query: str, problem: str) -> None:
    with pytest.raises(QueryError) as caught:
        bound(query, labels=LABELS)
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize(
    "data_type", ["VARCHAR", "BIGINT", "BOOLEAN", "TIMESTAMP", "UUID", "DECIMAL(9,2)", "JSON", "BLOB[]"]
)
def test__bind__every_value_against_every_type__fits_or_is_refused(data_type: str) -> None:
    odd = replace(
        CUSTOMERS, columns=(*CUSTOMERS.columns, replace(CUSTOMERS.columns[0], name="odd", data_type=data_type))
    )
    schema = RelationalSchema((odd, ORDERS), SHOP.links[:1])
    for literal in (
        "1",
        "-1.5",
        "1e30",
        "'x'",
        "''",
        "'1e400'",
        "'nan'",
        "TRUE",
        "NULL",
        "2024-01-01",
        "'9999999-01-01'",
    ):
        for operator in ("=", "<", "IS", "IS NOT"):
            try:
                assert bound(f"{CHURN} WHERE customers.odd {operator} {literal}", schema).where is not None
            except QueryError as error:
                assert error.position is not None


@pytest.mark.parametrize(
    ("task", "kind", "days", "function"),
    [
        ("driver_dnf", TaskKind.BINARY, 30, "COUNT"),
        ("driver_top3", TaskKind.BINARY, 30, "MIN"),
        ("driver_position", TaskKind.REGRESSION, 60, "AVG"),
    ],
)
def test__bind__formula_1__as_its_suite_states(task: str, kind: TaskKind, days: int, function: str) -> None:
    found = bound(FORMULA_1_QUERIES[task], FORMULA_1)
    left = found.target.left if isinstance(found.target, BoundComparison) else found.target
    assert isinstance(left, BoundAggregation)
    assert (found.kind, found.horizon, left.function) == (kind, Window(0, days, "days"), function)
    assert [(link.child_column, link.parent) for link in left.path] == [("driverId", "drivers")]
    assert (found.assuming is not None) == (task == "driver_dnf")


def test__bind__driver_dnf__compares_a_code_by_its_data_type() -> None:
    found = bound(FORMULA_1_QUERIES["driver_dnf"], FORMULA_1).target
    assert isinstance(found, BoundComparison) and isinstance(found.left, BoundAggregation)
    status = BoundColumn(FORMULA_1.table("results"), FORMULA_1.table("results").column("statusId"))
    assert found.left.where == BoundComparison(status, "!=", 1)


@pytest.mark.suite
@pytest.mark.skipif(not SUITE.exists(), reason="the suite folder is not here")
def test__formula_1_queries__are_the_suites() -> None:
    import yaml

    tasks = yaml.safe_load(SUITE.read_text())["tasks"]
    assert {name: " ".join(task["query"].split()) for name, task in tasks.items()} == FORMULA_1_QUERIES
