"""A tiny suite folder: shoppers with weekly orders, who stay as long as they order often."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DATASET = """
name: tiny
val_timestamp: '2024-04-01'
test_timestamp: '2024-05-01'
tables:
  shoppers: {file: tables/shoppers.parquet, primary_key: id, time_column: null}
  orders: {file: tables/orders.parquet, primary_key: id, time_column: at}
links:
- orders.shopper_id->shoppers.id
tasks:
  comes_back:
    kind: binary
    entity: shoppers.id
    query: PREDICT COUNT(orders.*, 0, 10, days) > 0 FOR EACH shoppers.id
    file: tasks/comes_back.parquet
    horizon_days: 10
  spend:
    kind: regression
    entity: shoppers.id
    query: PREDICT SUM(orders.amount, 0, 10, days) FOR EACH shoppers.id
    file: tasks/spend.parquet
    horizon_days: 10
  next_item:
    kind: survival
    entity: shoppers.id
    query: PREDICT LIST_DISTINCT(orders.item, 0, 10, days) RANK TOP 3 FOR EACH shoppers.id
    file: tasks/none.parquet
    horizon_days: 10
"""
SHOPPERS, START = 40, datetime(2024, 1, 1)
ANCHORS = [START + timedelta(days=d) for d in range(20, 151, 10)]


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    for each in ("tables", "tasks"):
        (folder / "tiny" / each).mkdir(parents=True)
    (folder / "tiny" / "dataset.yml").write_text(DATASET)
    rng = np.random.default_rng(5)
    shopper, day, amount = _orders(rng)
    moments = [START + timedelta(days=int(d)) for d in day]
    shoppers = pa.table({"id": list(range(SHOPPERS)), "born": [datetime(1980, 1, 1)] * SHOPPERS})
    orders = pa.table(
        {
            "id": list(range(len(day))),
            "shopper_id": shopper,
            "at": pa.array(moments, pa.timestamp("us")),
            "amount": amount,
            "item": rng.integers(0, 5, len(day)),
        }
    )
    pq.write_table(shoppers, folder / "tiny/tables/shoppers.parquet")
    pq.write_table(orders, folder / "tiny/tables/orders.parquet")
    sums = _window_sums(np.array(shopper), np.array(moments, dtype="datetime64[us]"), np.array(amount))
    _write_labels(folder / "tiny/tasks/comes_back.parquet", [(e, a, int(n > 0)) for e, a, n, _ in sums])
    _write_labels(folder / "tiny/tasks/spend.parquet", [(e, a, s) for e, a, _, s in sums])
    return folder


def _orders(rng: np.random.Generator) -> tuple[list[int], list[int], list[float]]:
    found: list[tuple[int, int, float]] = []
    for shopper in range(SHOPPERS):
        chance = 0.02 + 0.2 * (shopper % 4) / 3
        for day in range(170):
            if rng.random() < chance:
                found.append((shopper, day, float(rng.integers(5, 50))))
    shopper, day, amount = zip(*found, strict=True)
    return list(shopper), list(day), list(amount)


def _window_sums(shopper: np.ndarray, at: np.ndarray, amount: np.ndarray) -> list[tuple[int, datetime, int, float]]:
    rows = []
    for anchor in ANCHORS:
        start = np.datetime64(anchor, "us")
        inside = (at > start) & (at <= start + np.timedelta64(10, "D"))
        for each in range(SHOPPERS):
            mine = inside & (shopper == each)
            rows.append((each, anchor, int(mine.sum()), float(amount[mine].sum())))
    return rows


def _write_labels(file: Path, rows: list[tuple[int, datetime, float]]) -> None:
    entity, anchor, label = zip(*rows, strict=True)
    split = ["train" if a < datetime(2024, 4, 1) else "val" if a < datetime(2024, 5, 1) else "test" for a in anchor]
    table = {"entity": entity, "anchor_time": pa.array(anchor, pa.timestamp("us")), "label": label, "split": split}
    pq.write_table(pa.table(table), file)
