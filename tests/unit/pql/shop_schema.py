"""Hand-built schemas that the query tests bind against: a shop, and the tables of the Formula 1 suite."""

from __future__ import annotations

from dbt_rfm.schema.semantics import by_data_type
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table

ID, CATEGORICAL, TEXT = SemanticType.ID, SemanticType.CATEGORICAL, SemanticType.TEXT


def column(name: str, data_type: str, semantic_type: SemanticType | None = None) -> Column:
    found = semantic_type or by_data_type(data_type)
    assert found is not None, data_type
    return Column(name, data_type, found)


def table(name: str, key: str | None, time: str | None, *columns: Column, time_link: str | None = None) -> Table:
    return Table(name, f'"shop"."{name}"', columns, (key,) if key else (), time, time_link=time_link)


def key(name: str) -> Column:
    return column(name, "BIGINT", ID)


CUSTOMERS = table(
    "customers",
    "customer_id",
    None,
    key("customer_id"),
    key("home_store_id"),
    column("email", "VARCHAR", ID),
    column("segment", "VARCHAR"),
    column("about", "VARCHAR", TEXT),
    column("age", "INTEGER"),
    column("is_member", "BOOLEAN"),
    column("born_on", "DATE"),
)
ORDERS = table(
    "orders",
    "order_id",
    "ordered_at",
    key("order_id"),
    key("customer_id"),
    key("store_id"),
    column("ordered_at", "TIMESTAMP"),
    column("delivered_at", "TIMESTAMP WITH TIME ZONE"),
    column("status", "VARCHAR"),
    column("amount", "DECIMAL(12,2)"),
    column("is_gift", "BOOLEAN"),
    column("payload", "JSON", TEXT),
    column("rank", "INTEGER"),
)
ORDER_ITEMS = table(
    "order_items",
    "order_item_id",
    None,
    key("order_item_id"),
    key("order_id"),
    key("product_id"),
    column("quantity", "INTEGER"),
    column("category", "VARCHAR"),
    time_link="order_id",
)
PRODUCTS = table(
    "products", "product_id", None, key("product_id"), column("name", "VARCHAR"), column("price", "DOUBLE")
)
STORES = table("stores", "store_id", None, key("store_id"), column("region", "VARCHAR"), column("size", "INTEGER"))
# Two links to customers, and no key.
TRANSFERS = table(
    "transfers",
    None,
    "sent_at",
    key("sender_id"),
    key("receiver_id"),
    column("sent_at", "TIMESTAMP"),
    column("amount", "DOUBLE"),
)
# Two links apart from customers by two ways: over its store and over its sender.
NOTES = table("notes", "note_id", None, key("note_id"), key("customer_id"), column("stars", "INTEGER"))
WEATHER = table("weather", "day", "day", column("day", "DATE"), column("degrees", "DOUBLE"))
LINES = Table(
    "lines",
    '"shop"."lines"',
    (key("order_id"), key("line_no"), column("qty", "INTEGER")),
    ("order_id", "line_no"),
    time_link="order_id",
)

SHOP = RelationalSchema(
    (CUSTOMERS, ORDERS, ORDER_ITEMS, PRODUCTS, STORES, TRANSFERS, NOTES, WEATHER, LINES),
    (
        Link("orders", "customer_id", "customers", "customer_id"),
        Link("orders", "store_id", "stores", "store_id"),
        Link("order_items", "order_id", "orders", "order_id"),
        Link("order_items", "product_id", "products", "product_id"),
        Link("customers", "home_store_id", "stores", "store_id"),
        Link("transfers", "sender_id", "customers", "customer_id"),
        Link("transfers", "receiver_id", "customers", "customer_id"),
        Link("notes", "customer_id", "customers", "customer_id"),
        Link("lines", "order_id", "orders", "order_id"),
    ),
)

LABELS = Table(
    "labels",
    '"shop"."churn_labels"',
    (
        key("customer_id"),
        column("anchor_time", "TIMESTAMP"),
        column("label", "BOOLEAN"),
        column("value", "DOUBLE"),
        column("tier", "VARCHAR"),
    ),
)


def _race_table(name: str, key_name: str, *columns: Column) -> Table:
    keys = [key(n) for n in (key_name, "raceId", "driverId")]
    return table(name, key_name, "date", *keys, column("date", "TIMESTAMP"), *columns)


FORMULA_1 = RelationalSchema(
    (
        table("drivers", "driverId", None, key("driverId"), column("nationality", "VARCHAR")),
        table("races", "raceId", "date", key("raceId"), column("date", "TIMESTAMP"), column("year", "BIGINT")),
        _race_table(
            "results", "resultId", column("statusId", "BIGINT", CATEGORICAL), column("positionOrder", "BIGINT")
        ),
        _race_table("qualifying", "qualifyId", column("position", "BIGINT")),
    ),
    (
        Link("results", "driverId", "drivers", "driverId"),
        Link("results", "raceId", "races", "raceId"),
        Link("qualifying", "driverId", "drivers", "driverId"),
        Link("qualifying", "raceId", "races", "raceId"),
    ),
)
