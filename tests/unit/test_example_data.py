"""The simulated shop: what the example relies on, checked on a small one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dbt_rfm.demo import project, shop, world
from dbt_rfm.errors import ProjectError

END = datetime(2026, 1, 1)


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return shop.simulate(num_customers=600, seed=3)


def _values(table: pa.Table, column: str) -> np.ndarray:
    return table.column(column).to_numpy(zero_copy_only=False)


def test__simulate__same_seed__same_tables(tables: dict[str, pa.Table]) -> None:
    again = shop.simulate(num_customers=600, seed=3)
    assert all(again[name].equals(table) for name, table in tables.items())


def test__simulate__other_seed__other_orders(tables: dict[str, pa.Table]) -> None:
    assert not shop.simulate(num_customers=600, seed=4)["raw_orders"].equals(tables["raw_orders"])


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("raw_customers", "customer_id"),
        ("raw_stores", "store_id"),
        ("raw_products", "product_id"),
        ("raw_orders", "order_id"),
        ("raw_order_items", "order_item_id"),
        ("raw_support_tickets", "ticket_id"),
    ],
)
def test__simulate__keys__are_unique_and_present(tables: dict[str, pa.Table], table: str, key: str) -> None:
    column = tables[table].column(key)
    assert column.null_count == 0
    assert pc.count_distinct(column).as_py() == len(column) > 0


def test__simulate__times__end_with_the_second_year(tables: dict[str, pa.Table]) -> None:
    ordered = tables["raw_orders"].column("ordered_at")
    assert pc.min(ordered).as_py() >= datetime(2024, 1, 1)
    for table, column in (("raw_orders", "ordered_at"), ("raw_support_tickets", "opened_at")):
        newest = pc.max(tables[table].column(column)).as_py()
        assert datetime(2025, 12, 25) < newest < END


def test__simulate__tickets__follow_their_order(tables: dict[str, pa.Table]) -> None:
    orders = dict(
        zip(
            tables["raw_orders"].column("order_id").to_pylist(),
            tables["raw_orders"].column("ordered_at").to_pylist(),
            strict=True,
        )
    )
    tickets = [row for row in tables["raw_support_tickets"].to_pylist() if row["order_id"] is not None]
    assert tickets
    assert all(row["opened_at"] > orders[row["order_id"]] for row in tickets)


def test__simulate__amounts__are_the_items_less_the_discount(tables: dict[str, pa.Table]) -> None:
    items = tables["raw_order_items"].to_pylist()
    totals: dict[int, int] = {}
    for item in items:
        totals[item["order_id"]] = totals.get(item["order_id"], 0) + item["quantity"] * item["unit_price_cents"]
    for order in tables["raw_orders"].slice(0, 300).to_pylist():
        expected = totals[order["order_id"]] * (100 - order["discount_percent"]) / 100
        assert order["amount_cents"] == pytest.approx(expected, abs=1)


def test__simulate__orphans__are_there_but_few() -> None:
    tables = shop.simulate(num_customers=shop.NUM_CUSTOMERS, seed=shop.SEED)
    for child, parent, key in (
        ("raw_orders", "raw_customers", "customer_id"),
        ("raw_order_items", "raw_products", "product_id"),
    ):
        known = pc.is_in(tables[child].column(key), value_set=tables[parent].column(key).combine_chunks())
        orphans = len(known) - pc.sum(known).as_py()
        assert 0 < orphans < 0.01 * len(known)
    assert 20_000 < len(tables["raw_orders"]) < 30_000


def test__simulate__missing_values__are_there(tables: dict[str, pa.Table]) -> None:
    customers = tables["raw_customers"]
    assert 0.1 < customers.column("birth_year").null_count / len(customers) < 0.35
    assert "" in customers.column("channel").to_pylist()
    assert tables["raw_support_tickets"].column("order_id").null_count > 0


def test__simulate__bad_stores__lose_more_customers() -> None:
    """The signal through the links: service is no column, yet it shows in who stays."""
    rng = np.random.default_rng(shop.SEED)
    service = world.draw_world(shop.NUM_CUSTOMERS, rng).stores.service
    tables = shop.simulate(num_customers=shop.NUM_CUSTOMERS, seed=shop.SEED)
    orders = tables["raw_orders"]
    early = orders.filter(pc.less(orders.column("ordered_at"), datetime(2025, 6, 1)))
    late = orders.filter(pc.greater_equal(orders.column("ordered_at"), datetime(2025, 6, 1)))
    stays = np.isin(_values(early, "customer_id"), _values(late, "customer_id"))
    store = _values(early, "store_id") - 1
    stay_rate = np.array([stays[store == number].mean() for number in range(len(service)) if (store == number).any()])
    seen = np.array([number for number in range(len(service)) if (store == number).any()])
    assert np.corrcoef(stay_rate, service[seen])[0, 1] > 0.5


def test__simulate__garden_products__sell_in_spring(tables: dict[str, pa.Table]) -> None:
    products = dict(
        zip(
            tables["raw_products"].column("product_id").to_pylist(),
            tables["raw_products"].column("category").to_pylist(),
            strict=True,
        )
    )
    months = dict(
        zip(
            tables["raw_orders"].column("order_id").to_pylist(),
            pc.month(tables["raw_orders"].column("ordered_at")).to_pylist(),
            strict=True,
        )
    )
    garden = [
        months[i["order_id"]]
        for i in tables["raw_order_items"].to_pylist()
        if products.get(i["product_id"]) == "garden"
    ]
    spring = sum(month in (4, 5, 6) for month in garden)
    winter = sum(month in (11, 12, 1) for month in garden)
    assert spring > 3 * winter


def test__set_up__new_folder__holds_a_project_of_this_installation(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    counts = project.set_up(folder, num_customers=60)
    assert counts["raw_customers"] == pq.read_table(folder / "data" / "raw_customers.parquet").num_rows
    assert (folder / "models" / "predictions" / "customer_churn_30d.sql").is_file()
    package = (folder / "packages.yml").read_text().split('"')[1]
    assert (Path(package) / "macros").is_dir()
    assert (Path(package) / "dbt_project.yml").is_file()


def test__set_up__folder_with_the_example__keeps_its_files(tmp_path: Path) -> None:
    project.set_up(tmp_path / "shop", num_customers=60)
    edited = tmp_path / "shop" / "models" / "predictions" / "customer_churn_30d.sql"
    edited.write_text("edited")
    project.set_up(tmp_path / "shop", num_customers=60)
    assert edited.read_text() == "edited"


def test__set_up__folder_with_other_files__is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProjectError, match="is not the example project"):
        project.set_up(tmp_path, num_customers=60)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
