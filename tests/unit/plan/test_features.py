"""Features against a slow reference in plain Python, on drawn shops; then single rules by hand."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from plan_databases import (
    AMOUNT,
    ORDERS_PATH,
    PRICE,
    START,
    WORDS,
    Database,
    databases,
    moments,
    shop_schema,
    warehouse_of,
)

from dbt_rfm.collect.snapshots import collect_labelled
from dbt_rfm.options import Options
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.calendar import calendar_block
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.values import Scope, flags_of
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, BoundComparison, Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind

SCHEMA = shop_schema()
CUSTOMERS, ORDERS = SCHEMA.table("customers"), SCHEMA.table("orders")
RED = BoundComparison(BoundColumn(ORDERS, ORDERS.column("status")), "=", "a")
TASK = Task(
    "",
    TaskKind.REGRESSION,
    BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id")),
    BoundAggregation("COUNT", ORDERS, None, ORDERS_PATH, Window(0, 5), RED),
    Window(0, 5),
)
DAY = timedelta(days=1)
WINDOWS = {"5d": 5 * DAY, "15d": 15 * DAY, "60d": 60 * DAY, "all": None}


def features_of(
    database: Database,
    examples: list[tuple[int, datetime]],
    task: Task = TASK,
    schema: RelationalSchema = SCHEMA,
    **also,
) -> list[dict]:
    """The features of each example, in the order of (anchor, entity)."""
    both = [*((*e, "query") for e in examples), (999, START - 90 * DAY, "context")]
    times = [e[1] for e in both]
    labels = pa.table(
        {
            "entity": pa.array([e[0] for e in both], type=pa.int32()),
            "anchor_time": pa.array(times, type=pa.timestamp("us")),
            "label": pa.array([float(e[0]) for e in both]),
            "known_at": pa.array([t + 5 * DAY for t in times], type=pa.timestamp("us")),
            "split": [e[2] for e in both],
        }
    )
    options = Options(backtest=False)
    found = collect_labelled(task, schema, warehouse_of(database), options, labels=labels, **also)
    asked = [r["example_id"] for r in found.examples.to_pylist() if r["split"] == "query"]
    rows = {r["example_id"]: r for r in found.features.to_pylist()}
    return [rows[i] for i in asked]


# The reference.


def summary(rows: list[tuple[datetime, int, dict]], anchor: datetime, column: str) -> dict[str, object]:
    """`rows`: (time, key, row) visible at the anchor."""
    rows = sorted(rows, key=lambda r: r[:2])
    found: dict[str, object] = {}
    for name, length in WINDOWS.items():
        inside = [r for t, _, r in rows if length is None or t > anchor - length]
        values = [r[column] for r in inside if r[column] is not None]
        found[f"count.{name}"] = len(inside)
        found[f"{column}.sum.{name}"] = sum(values) if values else None
        found[f"{column}.mean.{name}"] = sum(values) / len(values) if values else None
        if name in ("15d", "all"):
            found[f"{column}.min.{name}"] = min(values, default=None)
            found[f"{column}.max.{name}"] = max(values, default=None)
            found[f"{column}.std.{name}"] = statistics.stdev(values) if len(values) > 1 else None
    found |= against_usual(found, rows, anchor, column)
    for suffix, k in (("last", 1), ("last2", 2), ("last3", 3)):
        found[f"{column}.{suffix}"] = rows[-k][2][column] if len(rows) >= k else None
    days = [(anchor - t) / DAY for t, _, _ in rows]
    found |= {"recency": min(days, default=None), "tenure": max(days, default=None)}
    found["gap1"] = (rows[-1][0] - rows[-2][0]) / DAY if len(rows) > 1 else None
    return found


def against_usual(
    found: dict[str, object], rows: list[tuple[datetime, int, dict]], anchor: datetime, column: str
) -> dict[str, object]:
    """How far what is new lies from the mean of all rows, in their standard deviations; none where all are alike."""
    unit, usual = found[f"{column}.std.all"] or None, found[f"{column}.mean.all"]

    def away(value: float | None) -> float | None:
        return None if unit is None or value is None else (value - usual) / unit

    new = [r[column] for t, _, r in rows if t > anchor - WINDOWS["5d"] and r[column] is not None]
    return {
        f"{column}.deviations.5d": away(found[f"{column}.mean.5d"]),
        f"{column}.deviations.15d": away(found[f"{column}.mean.15d"]),
        f"{column}.last.deviations": away(rows[-1][2][column] if rows else None),
        f"{column}.spread.5d": statistics.stdev(new) / unit if unit and len(new) > 1 else None,
    }


def words(rows: list[tuple[datetime, int, dict]], column: str) -> dict[str, object]:
    """Distinct count and most frequent; of equally frequent ones the one seen last."""
    seen = [r[column] for _, _, r in sorted(rows, key=lambda r: r[:2]) if r[column] is not None]
    counts = Counter(seen)
    best = max(counts, key=lambda w: (counts[w], len(seen) - seen[::-1].index(w)), default=None)
    return {f"{column}.distinct": len(counts) if rows else None, f"{column}.most_frequent": best}


def agree(found: dict, prefix: str, expected: dict[str, object]) -> None:
    got = {name: found[f"{prefix}.{name}"] for name in expected}
    for name, value in expected.items():
        if name.endswith("distinct"):
            assert (got[name] or 0) == (value or 0), name
        elif isinstance(value, str) or value is None:
            assert got[name] == value, f"{prefix}.{name}: {got[name]} is not {value}"
        else:
            assert got[name] == pytest.approx(value, abs=1e-6), f"{prefix}.{name}"


def counts(rows: list[tuple[datetime, str | None]], anchor: datetime, label: str) -> dict[str, object]:
    """How many of (time, word) have each word, in each window."""
    found: dict[str, object] = {}
    for word in WORDS:
        for name, length in WINDOWS.items():
            inside = [w for t, w in rows if length is None or t > anchor - length]
            found[f"{label}={word}.count.{name}"] = inside.count(word)
    return found


several = settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
_examples = st.lists(st.tuples(st.integers(1, 4), moments), min_size=1, max_size=5, unique=True)


@several
@given(databases(), _examples)
def test__children__summaries__equal_the_reference(database: Database, examples: list[tuple[int, datetime]]) -> None:
    examples = sorted(examples, key=lambda e: (e[1], e[0]))
    for (entity, anchor), found in zip(examples, features_of(database, examples), strict=True):
        seen = [o for o in database["orders"] if o["ordered_at"] is not None and o["ordered_at"] <= anchor]
        own = [(o["ordered_at"], o["order_id"], o) for o in seen if o["customer_id"] == entity]
        agree(found, "orders", summary(own, anchor, "amount") | words(own, "status"))
        agree(found, "orders", counts([(t, o["status"]) for t, _, o in own], anchor, "status"))
        regions = {r["region_id"]: r["kind"] for r in database["regions"]}
        kinds = [(t, regions.get(o["region_id"])) for t, _, o in own]
        agree(found, "orders", {k: v for k, v in counts(kinds, anchor, "regions.kind").items() if k.endswith("all")})
        assert "orders.regions.kind=a.count.5d" not in found
        marked = [(*r[:2], {"asked": None if r[2]["status"] is None else float(r[2]["status"] == "a")}) for r in own]
        agree(found, "orders", {k: v for k, v in summary(marked, anchor, "asked").items() if "asked" in k})


@several
@given(databases(), _examples)
def test__grandchildren__take_the_time_of_the_row_between(database: Database, examples) -> None:
    examples = sorted(examples, key=lambda e: (e[1], e[0]))
    for (entity, anchor), found in zip(examples, features_of(database, examples), strict=True):
        orders = {
            o["order_id"]: o["ordered_at"]
            for o in database["orders"]
            if o["customer_id"] == entity and o["ordered_at"] is not None and o["ordered_at"] <= anchor
        }
        rows = [(orders[i["order_id"]], i["item_id"], i) for i in database["items"] if i["order_id"] in orders]
        whole = summary(rows, anchor, "quantity")
        kept = ("count.15d", "count.all", "quantity.sum.all", "quantity.mean.15d", "quantity.last", "recency")
        agree(found, "orders.items", {name: whole[name] for name in kept})
        products = {p["product_id"]: p for p in database["products"]}
        prices, categories = [], []
        for time, _, item in rows:
            product = products.get(item["product_id"])
            known = product and product["launched_at"] is not None and product["launched_at"] <= time
            categories.append((time, product["category"] if known else None))
            prices += [product["price"]] if known and product["price"] is not None else []
        mean = sum(prices) / len(prices) if prices else None
        agree(found, "orders.items", {"products.price.mean.all": mean})
        of_products = counts(categories, anchor, "products.category")
        agree(found, "orders.items", {k: v for k, v in of_products.items() if k.endswith(("15d", "all"))})


def test__category_of_a_parent__with_values_that_are_not_listed__is_not_counted() -> None:
    orders = SCHEMA.table("orders")
    more = tuple(replace(c, all_values=False) for c in orders.columns)
    tables = tuple(replace(t, columns=more) if t is orders else t for t in SCHEMA.tables)
    scope = Scope(Graph(replace(SCHEMA, tables=tables), "duckdb"))
    assert [v.label for v in flags_of(scope, tables[2], "o")] == ["status=a", "status=b", "status=o'c"]
    assert flags_of(scope, tables[2], "o", all_listed=True) == []


def test__values_of_several_columns__too_many__each_keeps_its_most_frequent() -> None:
    orders = SCHEMA.table("orders")
    long = tuple(f"v{i:02}" for i in range(20))
    columns = tuple(replace(c, values=long) if c.name in ("amount", "status") else c for c in orders.columns)
    scope = Scope(Graph(SCHEMA, "duckdb"))
    labels = [v.label for v in flags_of(scope, replace(orders, columns=columns), "o")]
    assert labels == [f"{name}={value}" for name in ("amount", "status") for value in long[:12]]


def coded(schema: RelationalSchema) -> RelationalSchema:
    """The shop whose items have a code for a quantity."""
    items = schema.table("items")
    columns = tuple(replace(c, values=("1", "2")) if c.name == "quantity" else c for c in items.columns)
    return replace(schema, tables=tuple(replace(t, columns=columns) if t.name == "items" else t for t in schema.tables))


@several
@given(databases(), _examples)
def test__code_that_is_a_whole_number__is_counted_by_value_and_stays_a_number(database: Database, examples) -> None:
    examples = sorted(examples, key=lambda e: (e[1], e[0]))
    found = features_of(database, examples, schema=coded(SCHEMA))
    for (entity, anchor), told, as_before in zip(examples, found, features_of(database, examples), strict=True):
        orders = {
            o["order_id"]: o["ordered_at"]
            for o in database["orders"]
            if o["customer_id"] == entity and o["ordered_at"] is not None and o["ordered_at"] <= anchor
        }
        items = [(orders[i["order_id"]], i["quantity"]) for i in database["items"] if i["order_id"] in orders]
        for value in (1, 2):
            for window in ("15d", "all"):
                inside = [q for t, q in items if WINDOWS[window] is None or t > anchor - WINDOWS[window]]
                assert told.pop(f"orders.items.quantity={value}.count.{window}") == inside.count(value)
        assert {name for name in told if "quantity" in name} == {name for name in as_before if "quantity" in name}


@several
@given(databases(), _examples)
def test__own_row__and_parent__as_known_at_the_anchor(database: Database, examples) -> None:
    examples = sorted(examples, key=lambda e: (e[1], e[0]))
    regions = {r["region_id"]: r for r in database["regions"]}
    for (entity, anchor), found in zip(examples, features_of(database, examples), strict=True):
        own = next((c for c in database["customers"] if c["customer_id"] == entity), None)
        if own is None or own["created_at"] is None or own["created_at"] > anchor:
            own = dict.fromkeys(("size", "segment", "vip", "left_at", "created_at", "region_id"))
        left, region = own["left_at"], regions.get(own["region_id"], {})
        expected = {
            "size": own["size"],
            "segment": own["segment"],
            "vip": None if own["vip"] is None else float(own["vip"]),
            "left_at.age": (anchor - left) / DAY if left is not None and left <= anchor else None,
            "created_at.age": (anchor - own["created_at"]) / DAY if own["created_at"] else None,
        }
        agree(found, "customers", expected)
        agree(found, "regions", {"area": region.get("area"), "kind": region.get("kind")})


@several
@given(databases(), _examples)
def test__kin__count_the_region_as_known_at_the_anchor(database: Database, examples) -> None:
    examples = sorted(examples, key=lambda e: (e[1], e[0]))
    for (entity, anchor), found in zip(examples, features_of(database, examples), strict=True):
        known = [c for c in database["customers"] if c["created_at"] is not None and c["created_at"] <= anchor]
        own = next((c for c in known if c["customer_id"] == entity), {"region_id": None})
        region = own["region_id"]
        siblings = [
            c
            for c in known
            if region is not None
            and c["region_id"] == region
            and c["customer_id"] != entity
            and c["created_at"] < anchor
        ]
        sizes = [c["size"] for c in siblings if c["size"] is not None]
        mean = sum(sizes) / len(sizes) if sizes else None
        agree(found, "customers>regions<customers", {"count.all": len(siblings), "size.mean.all": mean})

        seen = [o for o in database["orders"] if o["ordered_at"] is not None and o["ordered_at"] <= anchor]
        mine = sorted((o["ordered_at"], o["order_id"], o["region_id"]) for o in seen if o["customer_id"] == entity)
        lately = [
            o
            for o in seen
            if mine and o["region_id"] == mine[-1][2] is not None and o["ordered_at"] > anchor - 15 * DAY
        ]
        amounts = [o["amount"] for o in lately if o["amount"] is not None]
        mean = sum(amounts) / len(amounts) if amounts else None
        agree(found, "orders>regions<orders", {"count.15d": len(lately), "amount.mean.15d": mean})


@several
@given(databases())
def test__late_attribute__of_the_region_is_seen_from_that_much_earlier(database: Database) -> None:
    """An order's amount is known three days later: what other orders of its region came to, as known at its time."""
    orders = [o for o in database["orders"] if o["ordered_at"] is not None]
    examples = sorted(((o["order_id"], o["ordered_at"]) for o in orders), key=lambda e: (e[1], e[0]))
    if not examples:
        return
    late = Delay(Window(0, 3))
    for (entity, anchor), found in zip(examples, features_of(database, examples, AMOUNT, late=late), strict=True):
        region = next(o["region_id"] for o in orders if o["order_id"] == entity)
        until = anchor - 3 * DAY
        others = [
            o
            for o in orders
            if region is not None
            and o["region_id"] == region
            and o["order_id"] != entity
            and until - 7 * DAY < o["ordered_at"] < until
        ]
        amounts = [o["amount"] for o in others if o["amount"] is not None]
        mean = sum(amounts) / len(amounts) if amounts else None
        agree(found, "orders>regions<orders@3d", {"amount.mean.7d": mean})
        assert "orders>regions<orders.amount.mean.7d" not in found, "not before it is known"
        assert "orders.amount" not in found, "the answer is no feature"


def test__past_labels__lags_means_count_and_age() -> None:
    empty = {"regions": [], "customers": [], "orders": [], "items": [], "products": []}
    examples = [(3, START + 5 * k * DAY) for k in range(4)]
    last = features_of(empty, examples)[-1]
    assert [last[f"past.lag{k}"] for k in range(1, 5)] == [3.0, 3.0, 3.0, None]
    assert (last["past.mean.all"], last["past.count"], last["past.age"]) == (3.0, 3.0, 5.0)
    assert last["everybody.lag1"] == 3.0
    assert last["everybody.mean.6"] == pytest.approx((3 + 3 + 3 + 999) / 4)


def test__calendar__is_that_of_the_anchor() -> None:
    empty = {"regions": [], "customers": [], "orders": [], "items": [], "products": []}
    found = features_of(empty, [(1, datetime(2024, 5, 6))])[0]
    assert {k: v for k, v in found.items() if k.startswith("anchor.")} == {
        "anchor.month": 5.0,
        "anchor.quarter": 2.0,
        "anchor.day": 6.0,
        "anchor.weekday": 1.0,
    }


@pytest.mark.parametrize(
    ("horizon", "told"),
    [
        (Window(0, 60, "days"), "month quarter"),
        (Window(0, 1, "months"), "month quarter"),
        (Window(0, 7, "days"), "month quarter day"),
        (Window(0, 24, "hours"), "month quarter day weekday"),
        (None, "month quarter day weekday"),
    ],
)
def test__calendar__window_that_has_every_day_of_it__the_day_of_the_anchor_is_not_told(
    horizon: Window | None, told: str
) -> None:
    names = [feature.name.removeprefix("anchor.") for feature in calendar_block(Names("x"), horizon).features]
    assert names == told.split()


def test__features__number_that_is_none__is_missing() -> None:
    region = [{"region_id": 1, "area": float("inf"), "kind": None}]
    customer = {"customer_id": 1, "region_id": 1, "created_at": START, "size": float("nan")}
    shop = {"regions": region, "customers": [{**customer, "segment": None, "vip": None, "left_at": None}]}
    found = features_of({**shop, "orders": [], "items": [], "products": []}, [(1, START)])[0]
    assert (found["customers.size"], found["regions.area"]) == (None, None)


def test__features__amounts_beyond_what_can_be_squared__spoil_no_sum() -> None:
    """A huge one is missing, one next to nothing is nothing."""
    amounts = [4.0, 1e200, float("inf"), 1e-200, -1.7e308]
    order = {"customer_id": 1, "region_id": None, "status": None, "paid_at": None}
    orders = [{"order_id": i, "ordered_at": START, "amount": a, **order} for i, a in enumerate(amounts)]
    shop: Database = {"regions": [], "customers": [], "orders": orders, "items": [], "products": []}
    found = features_of(shop, [(1, START)])[0]
    told = {what: found[f"orders.amount.{what}.all"] for what in ("sum", "mean", "min", "max")}
    assert told == {"sum": 4.0, "mean": 2.0, "min": 0.0, "max": 4.0}
    assert found["orders.amount.std.all"] == pytest.approx(8**0.5)


@pytest.mark.parametrize(("without_key", "task"), [("orders", TASK), ("customers", replace(AMOUNT, of_events=True))])
def test__features__rows_of_one_moment_and_no_key__do_not_depend_on_where_they_lie(
    without_key: str, task: Task
) -> None:
    """The newest row of a customer, whose region is asked about next; the newest customer of an order's region."""
    tables = tuple(replace(t, primary_key=()) if t.name == without_key else t for t in SCHEMA.tables)
    customer = {"region_id": 1, "vip": None, "created_at": START, "left_at": None}
    order = {"customer_id": 1, "paid_at": None, "ordered_at": START}
    shop: Database = {
        "regions": [{"region_id": i, "area": None, "kind": None} for i in (1, 2)],
        "customers": [{"customer_id": i, "size": i % 3, "segment": WORDS[i - 1], **customer} for i in (1, 2, 3)],
        "orders": [
            {"order_id": i, "region_id": 1 + i % 2, "amount": i / 4, "status": WORDS[i % 3], **order} for i in range(6)
        ],
        "items": [],
        "products": [],
    }
    shop["orders"].append({**shop["orders"][0], "order_id": 99, "ordered_at": START + DAY / 2})
    turned = {name: rows[::-1] for name, rows in shop.items()}
    example = [(1, START) if task is TASK else (99, START + DAY / 2)]
    first, second = (features_of(each, example, task, replace(SCHEMA, tables=tables))[0] for each in (shop, turned))
    assert first == second
    assert any(name.endswith(".last") and value is not None for name, value in first.items())


def test__rows_without_a_time__are_known_with_the_parents_beside_their_way() -> None:
    """Found by the leak test: an item of an order, seen for the order, does not say when; its product came later."""
    order = {"order_id": 1, "customer_id": None, "region_id": None, "ordered_at": START, "amount": 1.0}
    product = {"product_id": 1, "price": 9.5, "category": None, "launched_at": START + 30 * DAY}
    shop = {
        "regions": [],
        "customers": [],
        "orders": [{**order, "status": None, "paid_at": None}],
        "items": [{"item_id": 1, "order_id": 1, "product_id": 1, "quantity": 2}],
        "products": [product],
    }
    before, after = features_of(shop, [(1, START + DAY), (1, START + 31 * DAY)], AMOUNT)
    assert (before["items.quantity.mean.all"], before["items.products.price.last"]) == (None, None)
    assert (after["items.quantity.mean.all"], after["items.products.price.last"]) == (2.0, 9.5)


def test__rows_without_a_time__seen_for_another_parent__wait_for_the_timed_one() -> None:
    """Three items of a product: of an order that is there, of one that is to come, of none."""
    nobody = {"customer_id": None, "region_id": None, "amount": 1.0, "status": None, "paid_at": None}
    product = {"product_id": 1, "price": 9.5, "category": None, "launched_at": START}
    shop = {
        "regions": [],
        "customers": [],
        "orders": [
            {"order_id": 1, "ordered_at": START, **nobody},
            {"order_id": 2, "ordered_at": START + 2 * DAY, **nobody},
        ],
        "items": [
            {"item_id": i, "order_id": order_id, "product_id": 1, "quantity": i}
            for i, order_id in enumerate((1, 2, None), start=1)
        ],
        "products": [product],
    }
    before, after = features_of(shop, [(1, START + DAY), (1, START + 2 * DAY)], PRICE)
    assert (before["items.count.all"], before["items.quantity.last"]) == (1.0, 1.0)
    assert (after["items.count.all"], after["items.quantity.last"]) == (2.0, 2.0)


def test__rows_with_a_time_link__seen_over_orders__come_with_the_product_all_the_same() -> None:
    """A customer's items, whose time link leads to the product: launched long after the order, and before it."""
    order = {"order_id": 1, "customer_id": 1, "region_id": None, "ordered_at": START, "amount": 1.0}
    customer = {"customer_id": 1, "region_id": None, "created_at": START, "size": None, "segment": None}
    shop = {
        "regions": [],
        "customers": [{**customer, "vip": None, "left_at": None}],
        "orders": [{**order, "status": None, "paid_at": None}],
        "items": [{"item_id": i, "order_id": 1, "product_id": i, "quantity": i} for i in (1, 2)],
        "products": [
            {"product_id": i, "price": None, "category": None, "launched_at": START + launched * DAY}
            for i, launched in ((1, -30), (2, 30))
        ],
    }
    asked = [(1, START + DAY), (1, START + 31 * DAY)]
    by_product = features_of(shop, asked, schema=shop_schema("product_id"))
    by_order = features_of(shop, asked, schema=shop_schema("order_id"))
    count = "orders.items.count.all"
    assert [row[count] for row in by_product] == [1.0, 2.0]
    assert [row[count] for row in by_order] == [2.0, 2.0]
