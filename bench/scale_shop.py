"""The shop of which `scale.py` asks lists and forecasts: its tables, made inside DuckDB, and the questions.

An order is of one product at one till. Two fifths are of the customer's five favourites, three tenths of its favourite
category, the others of what is popular; customers, products and tills differ much in how often they are met. Times are
even over two years.
"""

from __future__ import annotations

import duckdb

from dbt_rfm.job import JobTable, JobTest

STORES, TILLS, CATEGORIES = 500, 20_000, 40
_LIST = "PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 10{new} FOR EACH customers.customer_id"
_SUM = "PREDICT SUM(orders.amount, 0, {days}, days) FORECAST {steps} TIMEFRAMES FOR EACH {entity}"
QUESTIONS = {
    "list": _LIST.format(new=""),
    "new": _LIST.format(new=" EXCLUDE SEEN"),
    "stores_weeks": _SUM.format(days=7, steps=8, entity="stores.store_id"),
    "stores_days": _SUM.format(days=1, steps=14, entity="stores.store_id"),
    "tills_weeks": _SUM.format(days=7, steps=8, entity="tills.till_id"),
    "tills_days": _SUM.format(days=1, steps=14, entity="tills.till_id"),
}
_KEYS = {
    "customers": "customer_id",
    "products": "product_id",
    "stores": "store_id",
    "tills": "till_id",
    "orders": "order_id",
}
_LINKS = (
    ("orders", "customer_id", "customers"),
    ("orders", "product_id", "products"),
    ("orders", "till_id", "tills"),
    ("tills", "store_id", "stores"),
)
_TABLES = (
    """
CREATE TABLE customers AS
SELECT i AS customer_id, draw(i, 1) % 11 AS region,
    TIMESTAMP '2022-06-01' - CAST(draw(i, 2) % 900 AS INTEGER) * INTERVAL '1 day' AS joined_at
FROM range(1, {customers} + 1) AS t(i)
""",
    """
CREATE TABLE products AS
SELECT i AS product_id, i % {categories} AS category, round(exp(1 + 3 * share(i, 3)), 2) AS price
FROM range(1, {products} + 1) AS t(i)
""",
    "CREATE TABLE stores AS SELECT i AS store_id, draw(i, 4) % 12 AS district FROM range(1, {stores} + 1) AS t(i)",
    "CREATE TABLE tills AS SELECT i AS till_id, 1 + i % {stores} AS store_id FROM range(1, {tills} + 1) AS t(i)",
    """
CREATE TABLE orders AS
SELECT i AS order_id, customer_id,
    CASE
        WHEN share(i, 5) < 0.4 THEN 1 + among({products}, share(customer_id * 7 + draw(i, 6) % 5, 7), 2.5)
        WHEN share(i, 5) < 0.7 THEN 1 + (
            among({products} // {categories}, share(i, 8), 2) * {categories} + draw(customer_id, 9) % {categories}
        ) % {products}
        ELSE 1 + among({products}, share(i, 10), 3)
    END AS product_id,
    1 + among({tills}, share(i, 11), 1.3) AS till_id,
    TIMESTAMP '2023-01-01' + CAST(draw(i, 12) % 63072000 AS INTEGER) * INTERVAL '1 second' AS ordered_at,
    round(exp(1 + 2 * share(i, 13)), 2) AS amount
FROM (SELECT i, 1 + among({customers}, share(i, 14), 1.4) AS customer_id FROM range(1, {rows} + 1) AS t(i))
""",
)
_MACROS = (
    "CREATE TEMPORARY MACRO draw(i, k) AS CAST(hash(i, k) % 1000000007 AS BIGINT)",
    "CREATE TEMPORARY MACRO share(i, k) AS draw(i, k) / 1000000007.0",
    "CREATE TEMPORARY MACRO among(n, u, steep) AS CAST(floor(n * power(u, steep)) AS BIGINT) % n",
)


def make_shop(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """So many orders of a customer for every ten, half a million at most, and a product for every 500."""
    sizes = {"customers": min(rows // 10, 500_000), "products": max(rows // 500, 200), "rows": rows}
    fixed = {"stores": STORES, "tills": TILLS, "categories": CATEGORIES}
    for statement in (*_MACROS, *(text.format(**sizes, **fixed) for text in _TABLES)):
        connection.execute(statement)


def shop_tables() -> tuple[JobTable, ...]:
    return tuple(
        JobTable(
            name,
            name,
            unique_id=f"model.scale.{name}",
            primary_key=(key,),
            event_time="ordered_at" if name == "orders" else None,
        )
        for name, key in _KEYS.items()
    )


def shop_links() -> tuple[JobTest, ...]:
    return tuple(
        JobTest(
            "relationships",
            column,
            {"to": f"ref('{parent}')", "field": _KEYS[parent]},
            attached_node=f"model.scale.{child}",
            depends_on=(f"model.scale.{parent}", f"model.scale.{child}"),
        )
        for child, column, parent in _LINKS
    )
