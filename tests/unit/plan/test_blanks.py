"""What a model takes a column to hold where nothing happened is what the plan writes there."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from plan_databases import ORDERS_PATH, START, shop_schema, warehouse_of

from dbt_rfm.collect import collect_labelled
from dbt_rfm.model.strangers import blanks
from dbt_rfm.options import Options
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, Task
from dbt_rfm.task_kind import TaskKind

SCHEMA = shop_schema()
CUSTOMERS = SCHEMA.table("customers")
TASK = Task(
    "",
    TaskKind.REGRESSION,
    BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id")),
    BoundAggregation("COUNT", SCHEMA.table("orders"), None, ORDERS_PATH, Window(0, 5), None),
    Window(0, 5),
)
BUSY, NEWCOMER = 1, 2
NOW = START + timedelta(days=20)


def customer(key: int) -> dict[str, object]:
    return {
        "customer_id": key,
        "region_id": 1,
        "created_at": START,
        "size": 2.0,
        "segment": "a",
        "vip": True,
        "left_at": None,
    }


def order(key: int, at: datetime) -> dict[str, object]:
    return {
        "order_id": key,
        "customer_id": BUSY,
        "region_id": 1,
        "ordered_at": at,
        "amount": 1.0 + key,
        "status": "a",
        "paid_at": at,
    }


def test__an_entity_without_rows__has_a_blank_wherever_one_is_told():
    database = {
        "regions": [{"region_id": 1, "area": 3.0, "kind": "a"}],
        "customers": [customer(BUSY), customer(NEWCOMER)],
        "orders": [order(i, START + timedelta(days=2 * i)) for i in range(1, 9)],
        "items": [{"item_id": i, "order_id": i, "product_id": 1, "quantity": i} for i in range(1, 9)],
        "products": [{"product_id": 1, "price": 2.0, "category": "a", "launched_at": START}],
    }
    examples = [(BUSY, START + timedelta(days=10), "context"), (BUSY, NOW, "query"), (NEWCOMER, NOW, "query")]
    labels = pa.table(
        {
            "entity": pa.array([e for e, _, _ in examples], type=pa.int32()),
            "anchor_time": pa.array([t for _, t, _ in examples], type=pa.timestamp("us")),
            "label": pa.array([4.0, 5.0, 6.0]),
            "known_at": pa.array([t + timedelta(days=5) for _, t, _ in examples], type=pa.timestamp("us")),
            "split": [split for *_, split in examples],
        }
    )
    found = collect_labelled(TASK, SCHEMA, warehouse_of(database), Options(backtest=False), labels=labels)
    place = {row["entity"]: i for i, row in enumerate(found.examples.to_pylist()) if row["split"] == "query"}
    busy, newcomer = (found.features.slice(place[key], 1).to_pylist()[0] for key in (BUSY, NEWCOMER))
    told = {found.features_meta[i].name: value for i, value in blanks(found.features_meta).items()}
    assert {name: newcomer[name] for name in told} == {n: None if np.isnan(v) else v for n, v in told.items()}
    assert {"orders.count.all", "orders.amount.mean.all", "past.lag1", "past.count"} <= set(told)
    others = set(newcomer) - set(told) - {"example_id"}
    assert {name: newcomer[name] for name in others} == {name: busy[name] for name in others}
