"""Schemas of a few small tables in a few lines, for tests that bind and collect.

SCHEMA = schema(
    table("customers", customer_id="INTEGER", segment="VARCHAR"),
    table("orders", time="ordered_at", order_id="INTEGER", customer_id="INTEGER", ordered_at="TIMESTAMP"),
    links={"orders.customer_id": "customers.customer_id"},
)
"""

from __future__ import annotations

from collections.abc import Mapping

from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table

_BY_TYPE = {
    "VARCHAR": SemanticType.CATEGORICAL,
    "TIMESTAMP": SemanticType.TIMESTAMP,
    "BOOLEAN": SemanticType.BOOLEAN,
}


def _meaning(column: str, kind: str) -> SemanticType:
    return SemanticType.ID if column.endswith("_id") else _BY_TYPE.get(kind, SemanticType.NUMERICAL)


def table(name: str, *, time: str | None = None, **columns: str) -> Table:
    """The first column is the key; columns that end with _id are ids, the others what their type says."""
    made = tuple(Column(column, kind, _meaning(column, kind)) for column, kind in columns.items())
    return Table(name, name, made, (made[0].name,), time)


#: What several shops of the tests have in common.
ORDERS = table(
    "orders", time="ordered_at", order_id="INTEGER", customer_id="INTEGER", ordered_at="TIMESTAMP", amount="DOUBLE"
)


def schema(*tables: Table, links: Mapping[str, str]) -> RelationalSchema:
    """`links` lead from a foreign key to a key, each as table.column."""
    return RelationalSchema(tables, tuple(Link(*a.split("."), *b.split(".")) for a, b in links.items()))
