"""Labels against a slow reference that walks over rows in plain Python, then the edges by hand."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_databases import ITEMS_PATH, ORDERS_PATH, START, Database, databases, moments, shop_schema, warehouse_of

from dbt_rfm.errors import QueryError
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import eligible_select, labels_select
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundAnd,
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundNot,
    BoundOr,
    Task,
)
from dbt_rfm.task_kind import TaskKind

SCHEMA = shop_schema()
GRAPH = Graph(SCHEMA, "duckdb")
CUSTOMERS, ORDERS, ITEMS = (SCHEMA.table(t) for t in ("customers", "orders", "items"))
ENTITY = BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id"))
EMPTY = {"regions": [], "customers": [], "orders": [], "items": [], "products": []}


def aggregation(function: str, column: str | None, window: Window, where=None, table=ORDERS) -> BoundAggregation:
    path = ORDERS_PATH if table is ORDERS else ITEMS_PATH
    return BoundAggregation(function, table, table.column(column) if column else None, path, window, where)


def task(target, kind=TaskKind.REGRESSION, where=None, assuming=None) -> Task:
    return Task("", kind, ENTITY, target, Window(0, 30), where, assuming)


def run(asked: Task, database: Database, anchors: list[datetime]) -> dict:
    warehouse = warehouse_of(database)
    warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array(anchors, type=pa.timestamp("us"))}))
    rows = warehouse.query(labels_select(asked, GRAPH, "anchors")).to_pylist()
    found = {(r["entity"], r["anchor_time"]): r["label"] for r in rows}
    assert len(found) == len(rows), "an entity comes twice at one anchor"
    return found


# The reference: another algorithm, row by row, with None for undefined.


def _after(moment: datetime, number: int, unit: str) -> datetime:
    if unit == "months":
        month = moment.month - 1 + number
        year, month = moment.year + month // 12, month % 12 + 1
        return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
    return moment + timedelta(**{unit: number})


def _holds(condition: BoundCondition, row: dict, value_of) -> bool | None:
    if isinstance(condition, BoundNot):
        inner = _holds(condition.operand, row, value_of)
        return None if inner is None else not inner
    if isinstance(condition, BoundAnd | BoundOr):
        parts = [_holds(c, row, value_of) for c in condition.operands]
        decisive = isinstance(condition, BoundOr)
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    left, right = value_of(condition.left, row), condition.value
    if condition.operator in ("IS", "IS NOT"):
        return (left is None) == (condition.operator == "IS")
    if left is None:
        return None
    return {
        "=": lambda: left == right,
        "!=": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
        "IN": lambda: left in right,
        "NOT IN": lambda: left not in right,
        "LIKE": lambda: left == right.strip("%") or left.startswith(right.strip("%")),
        "CONTAINS": lambda: right in left,
        "STARTS WITH": lambda: left.startswith(right),
        "NOT ENDS WITH": lambda: not left.endswith(right),
    }[condition.operator]()


def _rows_of(database: Database, asked: BoundAggregation, customer: int):
    """(time, known at, row) of the rows that belong to a customer."""
    orders = {o["order_id"]: o for o in database["orders"] if o["customer_id"] == customer}
    if asked.table.name == "orders":
        return [(o["ordered_at"], o) for o in orders.values()]
    return [(orders[i["order_id"]]["ordered_at"], i) for i in database["items"] if i["order_id"] in orders]


def _value(asked: BoundAggregation, database: Database, customer: int, anchor: datetime):
    window, key = asked.window, asked.table.primary_key[0]
    low = None if window.start is None else _after(anchor, window.start, window.unit)
    high = _after(anchor, window.end, window.unit)
    rows = [(t, r) for t, r in _rows_of(database, asked, customer) if t and t <= high and (low is None or t > low)]
    known = _after(anchor, max(window.end, 0), window.unit)

    def as_known(leaf, row):
        value = row[leaf.column.name]
        return None if leaf.column.name == "paid_at" and value is not None and value > known else value

    if asked.where is not None:
        rows = [(t, r) for t, r in rows if _holds(asked.where, r, as_known) is True]
    if asked.column is None:
        return len(rows)
    rows = [(t, r[key], r[asked.column.name]) for t, r in rows if r[asked.column.name] is not None]
    values = [v for _, _, v in rows]
    if asked.function == "COUNT":
        return len(values)
    if asked.function == "COUNT_DISTINCT":
        return len(set(values))
    if asked.function == "SUM":
        return sum(values)
    if not values:
        return None
    if asked.function in ("FIRST", "LAST"):
        return sorted(rows)[0 if asked.function == "FIRST" else -1][2]
    return {"AVG": sum(values) / len(values), "MIN": min(values), "MAX": max(values)}[asked.function]


def reference(asked: Task, database: Database, anchors: list[datetime]) -> dict:
    found = {}
    for customer in database["customers"]:
        for anchor in anchors:
            if customer["created_at"] is None or customer["created_at"] > anchor:
                continue

            def leaf(node, row, customer=customer, anchor=anchor):
                if isinstance(node, BoundColumn):
                    return customer[node.column.name]
                return _value(node, database, customer["customer_id"], anchor)

            if any(c is not None and _holds(c, {}, leaf) is not True for c in (asked.where, asked.assuming)):
                continue
            target = asked.target
            plain = isinstance(target, BoundAggregation | BoundColumn)
            label = leaf(target, {}) if plain else _holds(target, {}, leaf)
            if label is not None:
                found[customer["customer_id"], anchor] = label
    return found


_windows = st.sampled_from(
    [
        Window(0, 5),
        Window(2, 9),
        Window(0, 12, "hours"),
        Window(0, 1, "weeks"),
        Window(0, 1, "months"),
        Window(-6, 0),
        Window(-1, 0, "months"),
        Window(None, 0),
        Window(None, -2),
    ]
)
_inner = st.sampled_from(
    [
        None,
        BoundComparison(BoundColumn(ORDERS, ORDERS.column("status")), "=", "o'c"),
        BoundComparison(BoundColumn(ORDERS, ORDERS.column("status")), "NOT IN", ("a", "b")),
        BoundOr(
            (
                BoundComparison(BoundColumn(ORDERS, ORDERS.column("amount")), ">", 2),
                BoundComparison(BoundColumn(ORDERS, ORDERS.column("status")), "IS", None),
            )
        ),
        BoundNot(BoundComparison(BoundColumn(ORDERS, ORDERS.column("paid_at")), "<=", START + timedelta(days=9))),
    ]
)


@st.composite
def aggregations(draw: st.DrawFn) -> BoundAggregation:
    window = draw(_windows)
    if draw(st.booleans()):
        function = draw(st.sampled_from(["COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST", "LAST", "COUNT_DISTINCT"]))
        return aggregation(function, "quantity", window, table=ITEMS)
    function = draw(st.sampled_from(["COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST", "LAST", "COUNT_DISTINCT"]))
    column = draw(st.sampled_from([None, "amount"])) if function == "COUNT" else "amount"
    return aggregation(function, column, window, draw(_inner))


@st.composite
def conditions(draw: st.DrawFn) -> BoundCondition:
    def comparison() -> BoundCondition:
        on_column = draw(st.booleans())
        if on_column:
            column = draw(st.sampled_from(["size", "segment", "vip"]))
            value = {"size": 1, "segment": "a", "vip": True}[column]
            operator = draw(st.sampled_from(["=", "!=", "IS NOT"]))
            return BoundComparison(
                BoundColumn(CUSTOMERS, CUSTOMERS.column(column)), operator, None if operator == "IS NOT" else value
            )
        return BoundComparison(draw(aggregations()), draw(st.sampled_from([">", "<=", "="])), draw(st.integers(0, 3)))

    shape = draw(st.sampled_from(["one", "not", "and", "or"]))
    if shape == "one":
        return comparison()
    if shape == "not":
        return BoundNot(comparison())
    return (BoundAnd if shape == "and" else BoundOr)((comparison(), comparison()))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(databases(), aggregations(), st.none() | conditions(), st.lists(moments, min_size=1, max_size=3, unique=True))
def test__labels__any_aggregation__equal_the_reference(database, target, where, anchors) -> None:
    asked = task(target, where=where)
    assert run(asked, database, anchors) == pytest.approx(reference(asked, database, anchors))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(databases(), conditions(), st.none() | conditions(), st.lists(moments, min_size=1, max_size=3, unique=True))
def test__labels__any_condition__equals_the_reference(database, target, assuming, anchors) -> None:
    asked = task(target, TaskKind.BINARY, assuming=assuming)
    assert run(asked, database, anchors) == reference(asked, database, anchors)


# The edges, by hand.

T = datetime(2024, 3, 1)


def order(order_id: int, at: datetime | None, amount: float | None = 1.0, status: str | None = "a") -> dict:
    row = {"order_id": order_id, "customer_id": 1, "ordered_at": at, "amount": amount}
    return {**row, "region_id": None, "status": status, "paid_at": None}


def customer(customer_id: int | None = 1, created_at: datetime = START, segment: str | None = None) -> dict:
    row = {"customer_id": customer_id, "region_id": None, "created_at": created_at, "size": None}
    return {**row, "segment": segment, "vip": None, "left_at": None}


def one(function: str, orders: list[dict], window: Window | None = None):
    column = None if function == "COUNT" else "amount"
    database = {**EMPTY, "customers": [customer()], "orders": orders}
    return run(task(aggregation(function, column, window or Window(0, 30))), database, [T]).get((1, T), "left out")


def test__labels__event_at_the_anchor__does_not_count() -> None:
    assert one("COUNT", [order(1, T)]) == 0


def test__labels__event_on_the_horizon_end__counts() -> None:
    assert one("COUNT", [order(1, T + timedelta(days=30))]) == 1


def test__labels__event_just_after_the_horizon__does_not_count() -> None:
    assert one("COUNT", [order(1, T + timedelta(days=30, microseconds=1))]) == 0


def test__labels__look_back__holds_the_anchor_and_not_its_start() -> None:
    orders = [order(1, T), order(2, T - timedelta(days=7))]
    assert one("COUNT", orders, Window(-7, 0)) == 1


def test__labels__month__follows_the_calendar() -> None:
    database = {**EMPTY, "customers": [customer()], "orders": [order(1, datetime(2024, 2, 29)), order(2, T)]}
    asked = task(aggregation("COUNT", None, Window(0, 1, "months")))
    anchor = datetime(2024, 1, 31)
    assert run(asked, database, [anchor]) == {(1, anchor): 1}, "31 January plus a month is 29 February"


@pytest.mark.parametrize("function", ["COUNT", "SUM", "COUNT_DISTINCT"])
def test__labels__count_or_sum_of_nothing__is_zero(function: str) -> None:
    assert one(function, []) == 0


@pytest.mark.parametrize("function", ["AVG", "MIN", "MAX", "FIRST", "LAST"])
def test__labels__other_aggregate_of_nothing__is_left_out(function: str) -> None:
    assert one(function, []) == "left out"


def test__labels__first_and_last_of_a_tie__go_by_primary_key() -> None:
    at = T + timedelta(days=1)
    orders = [order(2, at, 2.0), order(1, at, 1.0), order(3, at, None)]
    assert (one("FIRST", orders), one("LAST", orders)) == (1.0, 2.0)


def test__labels__not_of_something_undefined__is_left_out() -> None:
    target = BoundNot(BoundComparison(aggregation("MIN", "amount", Window(0, 30)), "<=", 3))
    assert run(task(target, TaskKind.BINARY), {**EMPTY, "customers": [customer()]}, [T]) == {}


def test__labels__entity_created_later_or_without_key_or_twice__takes_part_once_from_then_on() -> None:
    customers = [customer(1, T + timedelta(days=1)), customer(None), customer(2), customer(2)]
    asked = task(aggregation("COUNT", None, Window(0, 30)))
    later = T + timedelta(days=1)
    found = run(asked, {**EMPTY, "customers": customers}, [T, later])
    assert found == {(2, T): 0, (2, later): 0, (1, later): 0}


def test__labels__attribute__is_given_where_known() -> None:
    asked = task(BoundColumn(CUSTOMERS, CUSTOMERS.column("segment")), TaskKind.MULTICLASS)
    database = {**EMPTY, "customers": [customer(1, segment="it's; drop table customers"), customer(2)]}
    assert run(asked, database, [T]) == {(1, T): "it's; drop table customers"}


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("LIKE", "go%", True),
        ("NOT LIKE", "go%", False),
        ("CONTAINS", "l'", True),
        ("NOT CONTAINS", "xyz", True),
        ("STARTS WITH", "gol", True),
        ("ENDS WITH", "d'", True),
        ("NOT ENDS WITH", "d'", False),
        ("IN", ("a", "gol'd'"), True),
        ("IS NOT", None, True),
    ],
)
def test__labels__text_operator__compares_the_text_as_it_is(operator: str, value: object, expected: bool) -> None:
    target = BoundComparison(BoundColumn(CUSTOMERS, CUSTOMERS.column("segment")), operator, value)
    database = {**EMPTY, "customers": [customer(segment="gol'd'")]}
    assert run(task(target, TaskKind.BINARY), database, [T]) == {(1, T): expected}


def test__labels__item_of_a_customers_order__is_reached_over_two_links() -> None:
    items = [
        {"item_id": 1, "order_id": 1, "product_id": None, "quantity": 3},
        {"item_id": 2, "order_id": 99, "product_id": None, "quantity": 5},
    ]
    orders = [order(1, T + timedelta(days=1))]
    database = {**EMPTY, "customers": [customer()], "orders": orders, "items": items}
    assert run(task(aggregation("SUM", "quantity", Window(0, 30), table=ITEMS)), database, [T]) == {(1, T): 3}


def test__eligible__the_query__looks_at_where_and_not_at_assuming() -> None:
    never = BoundComparison(aggregation("COUNT", None, Window(0, 30)), ">", 99)
    past = BoundComparison(aggregation("COUNT", None, Window(-30, 0)), ">", 0)
    asked = task(aggregation("COUNT", None, Window(0, 30)), where=past, assuming=never)
    database = {**EMPTY, "customers": [customer(1), customer(2)], "orders": [order(1, T)]}
    warehouse = warehouse_of(database)
    warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array([T], type=pa.timestamp("us"))}))
    assert warehouse.query(eligible_select(asked, GRAPH, "anchors")).to_pylist() == [{"entity": 1, "anchor_time": T}]


def test__labels__snapshot_table__counts_the_versions_valid_then() -> None:
    customers = replace(CUSTOMERS, time_column=None, valid_from="created_at", valid_to="left_at")
    schema = replace(SCHEMA, tables=tuple(customers if t is CUSTOMERS else t for t in SCHEMA.tables))
    entity = BoundColumn(customers, customers.column("customer_id"))
    segment = BoundColumn(customers, customers.column("segment"))
    asked = replace(task(segment, TaskKind.MULTICLASS), entity=entity)
    old = {**customer(1, START, "old"), "left_at": T}
    warehouse = warehouse_of({**EMPTY, "customers": [old, customer(1, T, "new")]})
    anchors = [T - timedelta(days=1), T]
    warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array(anchors, type=pa.timestamp("us"))}))
    rows = warehouse.query(labels_select(asked, Graph(schema, "duckdb"), "anchors")).to_pylist()
    assert sorted((r["anchor_time"], r["label"]) for r in rows) == [(anchors[0], "old"), (T, "new")]


def test__labels__list_of_values__is_refused_by_name() -> None:
    with pytest.raises(QueryError, match="LIST_DISTINCT cannot be computed yet"):
        labels_select(task(aggregation("LIST_DISTINCT", "status", Window(0, 30))), GRAPH, "anchors")
