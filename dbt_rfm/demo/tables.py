"""The shop's raw tables: what the simulation saw, in the shape and with the flaws of an operational database.

In: the world and its events. Out: Arrow tables. Amounts are in cents, missing values are nulls or empty texts, a few
customers were erased with their tickets while their orders stayed, a few items point to products that left the
catalogue, some tickets name no order. Nothing that happened after the last day is in the tables, tickets included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC

import numpy as np
import pyarrow as pa

from dbt_rfm.demo import world as w
from dbt_rfm.demo.world import World

Events = Mapping[str, np.ndarray]
TOPICS = ("broken product", "late delivery", "billing", "question")

_FIRST_CUSTOMER_ID, _FIRST_ORDER_ID, _FIRST_STORE_ID = 1001, 100_001, 1
_ERASED_SHARE, _DELISTED_SHARE = 0.003, 0.002


def raw_tables(
    world: World, orders: Events, items: Events, tickets: Events, rng: np.random.Generator
) -> dict[str, pa.Table]:
    kept = rng.random(len(world.customers.signed_up)) >= _ERASED_SHARE
    return {
        "raw_customers": _customers(world, kept, rng),
        "raw_stores": _stores(world),
        "raw_products": _products(world, rng),
        "raw_orders": _orders(orders, rng),
        "raw_order_items": _items(items, rng),
        "raw_support_tickets": _tickets(tickets, kept, rng),
    }


def _customers(world: World, kept: np.ndarray, rng: np.random.Generator) -> pa.Table:
    people = world.customers
    count = len(people.signed_up)
    channel = np.where(rng.random(count) < 0.06, "", np.array(w.CHANNELS)[people.channel])
    table = pa.table(
        {
            "customer_id": _FIRST_CUSTOMER_ID + np.arange(count),
            "signed_up_at": _timestamps(people.signed_up),
            "region": np.array(w.REGIONS)[people.region],
            "channel": channel,
            "birth_year": pa.array(people.birth_year, mask=rng.random(count) < 0.22),
            "newsletter": people.newsletter,
        }
    )
    return table.filter(pa.array(kept))


def _stores(world: World) -> pa.Table:
    stores = world.stores
    return pa.table(
        {
            "store_id": _FIRST_STORE_ID + np.arange(len(stores.opened)),
            "region": np.array(w.REGIONS)[stores.region],
            "format": np.array(w.FORMATS)[stores.format],
            "area_m2": stores.area,
            "opened_at": _timestamps(np.floor(stores.opened)),
        }
    )


def _products(world: World, rng: np.random.Generator) -> pa.Table:
    products = world.products
    brands = np.array([f"brand {chr(ord('A') + i)}" for i in range(w.NUM_BRANDS)])[products.brand]
    return pa.table(
        {
            "product_id": _product_ids(np.arange(len(products.price))),
            "category": np.array(w.CATEGORIES)[products.category],
            "brand": pa.array(brands, mask=rng.random(len(brands)) < 0.05),
            "price_band": np.array(w.PRICE_BANDS)[products.band],
            "list_price_cents": _cents(products.price),
            "launched_at": _timestamps(np.floor(products.launched)),
        }
    )


def _orders(orders: Events, rng: np.random.Generator) -> pa.Table:
    count = len(orders["order"])
    devices = rng.choice(("app", "web", "counter"), p=(0.4, 0.35, 0.25), size=count)
    return pa.table(
        {
            "order_id": _FIRST_ORDER_ID + orders["order"],
            "customer_id": _FIRST_CUSTOMER_ID + orders["customer"],
            "store_id": _FIRST_STORE_ID + orders["store"],
            "ordered_at": _timestamps(orders["time"]),
            "device": np.where(rng.random(count) < 0.03, "", devices),
            "amount_cents": _cents(orders["amount"]),
            "discount_percent": orders["discount"],
        }
    )


def _items(items: Events, rng: np.random.Generator) -> pa.Table:
    count = len(items["order"])
    delisted = rng.random(count) < _DELISTED_SHARE
    product_ids = np.where(delisted, _product_ids(900 + items["product"] % 7), _product_ids(items["product"]))
    return pa.table(
        {
            "order_item_id": 1 + np.arange(count),
            "order_id": _FIRST_ORDER_ID + items["order"],
            "product_id": product_ids,
            "quantity": items["quantity"],
            "unit_price_cents": _cents(items["price"]),
        }
    )


def _tickets(tickets: Events, kept: np.ndarray, rng: np.random.Generator) -> pa.Table:
    count = len(tickets["time"])
    table = pa.table(
        {
            "ticket_id": 1 + np.arange(count),
            "customer_id": _FIRST_CUSTOMER_ID + tickets["customer"],
            "order_id": pa.array(_FIRST_ORDER_ID + tickets["order"], mask=rng.random(count) < 0.25),
            "opened_at": _timestamps(tickets["time"]),
            "topic": np.array(TOPICS)[tickets["topic"]],
        }
    )
    return table.filter(pa.array((tickets["time"] < w.NUM_DAYS) & kept[tickets["customer"]]))


def _product_ids(numbers: np.ndarray) -> np.ndarray:
    return np.array([f"SKU-{number:03d}" for number in numbers])


def _cents(amounts: np.ndarray) -> np.ndarray:
    return np.round(amounts * 100).astype(np.int64)


def _timestamps(days: np.ndarray) -> pa.Array:
    """Whole seconds, without a time zone: the shop writes UTC."""
    start = int(w.START.replace(tzinfo=UTC).timestamp())
    seconds = start + np.round(days * 86_400).astype(np.int64)
    return pa.array(seconds).cast(pa.timestamp("s")).cast(pa.timestamp("us"))
