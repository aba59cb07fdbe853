"""A small shop, drawn by hypothesis: five tables, two hops each way, nulls, orphans, ties and late rows.

regions <- customers <- orders <- items -> products
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from datetime import datetime, timedelta

import duckdb
from hypothesis import strategies as st
from sqlglot import exp

from dbt_rfm.pql.task import BoundColumn, Task
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.warehouse.duckdb_sql import DuckDBRfm
from dbt_rfm.warehouse.postgres_sql import PostgresRfm
from dbt_rfm.warehouse.snowflake_sql import SnowflakeRfm

Row = dict[str, object]
Database = Mapping[str, list[Row]]
START = datetime(2024, 1, 30)
WORDS = ("a", "b", "o'c")  # the values of categories

_TYPES = {
    "regions": {"region_id": "INTEGER", "area": "DOUBLE", "kind": "VARCHAR"},
    "customers": {
        "customer_id": "INTEGER",
        "region_id": "INTEGER",
        "created_at": "TIMESTAMP",
        "size": "DOUBLE",
        "segment": "VARCHAR",
        "vip": "BOOLEAN",
        "left_at": "TIMESTAMP",
    },
    "orders": {
        "order_id": "INTEGER",
        "customer_id": "INTEGER",
        "region_id": "INTEGER",
        "ordered_at": "TIMESTAMP",
        "amount": "DOUBLE",
        "status": "VARCHAR",
        "paid_at": "TIMESTAMP",
    },
    "items": {"item_id": "INTEGER", "order_id": "INTEGER", "product_id": "INTEGER", "quantity": "INTEGER"},
    "products": {"product_id": "INTEGER", "price": "DOUBLE", "category": "VARCHAR", "launched_at": "TIMESTAMP"},
}
_KEYS = {t: next(iter(columns)) for t, columns in _TYPES.items()}
TIME_OF = {"customers": "created_at", "orders": "ordered_at", "products": "launched_at"}
LINKS = (
    Link("customers", "region_id", "regions", "region_id"),
    Link("orders", "customer_id", "customers", "customer_id"),
    Link("items", "order_id", "orders", "order_id"),
    Link("items", "product_id", "products", "product_id"),
    Link("orders", "region_id", "regions", "region_id"),
)
ORDERS_PATH = (LINKS[1],)
ITEMS_PATH = (LINKS[2], LINKS[1])


def shop_schema(items_with: str | None = None) -> RelationalSchema:
    """`items_with`: the foreign key of the items that says when they happened."""
    ids = {(t, k) for t, k in _KEYS.items()} | {(k.child, k.child_column) for k in LINKS}
    tables = [
        Table(
            name,
            f'"{name}"',
            tuple(_column(c, kind, (name, c) in ids) for c, kind in columns.items()),
            (_KEYS[name],),
            TIME_OF.get(name),
            time_link=items_with if name == "items" else None,
        )
        for name, columns in _TYPES.items()
    ]
    return RelationalSchema(tuple(tables), LINKS)


def _column(name: str, data_type: str, is_id: bool) -> Column:
    kind = _semantic(is_id, data_type)
    is_word = kind is SemanticType.CATEGORICAL
    return Column(name, data_type, kind, values=WORDS if is_word else (), all_values=is_word)


def _semantic(is_id: bool, data_type: str) -> SemanticType:
    if is_id:
        return SemanticType.ID
    return {
        "TIMESTAMP": SemanticType.TIMESTAMP,
        "VARCHAR": SemanticType.CATEGORICAL,
        "BOOLEAN": SemanticType.BOOLEAN,
    }.get(data_type, SemanticType.NUMERICAL)


def number_of_each(table: str, column: str) -> Task:
    """What a number of a table is, for each of its rows."""
    rows = shop_schema().table(table)
    key, asked = (BoundColumn(rows, rows.column(name)) for name in (rows.primary_key[0], column))
    return Task("", TaskKind.REGRESSION, key, asked, None)


AMOUNT, PRICE = number_of_each("orders", "amount"), number_of_each("products", "price")


#: The dialect in which a warehouse of each kind reads relations, and the one in which it writes.
READS = {"duckdb": "duckdb", "postgres": "postgres", "snowflake": SnowflakeRfm.__name__.lower()}
_WRITES = {**READS, "duckdb": DuckDBRfm, "postgres": PostgresRfm}


def written(query: exp.Expression, dialect: str) -> str:
    """The query as the warehouse of that dialect writes it."""
    return query.sql(dialect=_WRITES[dialect], pretty=True) + "\n"


_OPEN: list[duckdb.DuckDBPyConnection] = []  # one, made when first asked for: connecting takes longer than a test
atexit.register(_OPEN.clear)


def warehouse_of(database: Database) -> DuckDB:
    """The database on the one connection of this module, in place of the one before."""
    statements = []
    for name, columns in _TYPES.items():
        declared = ", ".join(f'"{c}" {kind}' for c, kind in columns.items())
        statements.append(f'create or replace temp table "{name}" ({declared})')
        rows = ", ".join(f"({', '.join(_literal(row[c]) for c in columns)})" for row in database[name])
        if rows:
            statements.append(f'insert into "{name}" values {rows}')
    if not _OPEN:
        _OPEN.append(duckdb.connect(config={"threads": 1}))
    _OPEN[0].execute("; ".join(statements))
    return DuckDB(_OPEN[0])


def _literal(value: object) -> str:
    if value is None:
        return "null"
    return f"'{str(value).replace(chr(39), chr(39) * 2)}'"


# Few distinct moments, so that rows tie with each other and with anchors. Quarters, so that sums are exact.
moments = st.integers(0, 60).map(lambda half_days: START + timedelta(hours=12 * half_days))
_maybe_moments = st.one_of(moments, moments, moments, st.none())
_amounts = st.none() | st.integers(-8, 40).map(lambda quarters: quarters / 4)
_words = st.sampled_from([None, *WORDS])
# Mostly the same few, so that rows meet; also orphans.
_some_ids = st.sampled_from([1, 1, 2, 2, 3, 4, 5, None])
_some_regions = st.sampled_from([1, 1, 2, 2, 3, None])


@st.composite
def databases(draw: st.DrawFn) -> Database:
    def rows(table: str, at_most: int, **columns: st.SearchStrategy) -> list[Row]:
        at_least = draw(st.sampled_from([0, at_most // 2, at_most // 2]))
        drawn = draw(st.lists(st.fixed_dictionaries(columns), min_size=at_least, max_size=at_most))
        return [{_KEYS[table]: i + 1, **row} for i, row in enumerate(drawn)]

    return {
        "regions": rows("regions", 2, area=_amounts, kind=_words),
        "customers": rows(
            "customers",
            4,
            region_id=_some_regions,
            created_at=_maybe_moments,
            size=_amounts,
            segment=_words,
            vip=st.none() | st.booleans(),
            left_at=_maybe_moments,
        ),
        "orders": rows(
            "orders",
            12,
            customer_id=_some_ids,
            region_id=_some_regions,
            ordered_at=_maybe_moments,
            amount=_amounts,
            status=_words,
            paid_at=_maybe_moments,
        ),
        "items": rows(
            "items",
            16,
            order_id=st.none() | st.integers(1, 12),
            product_id=st.none() | st.integers(1, 3),
            quantity=st.none() | st.integers(0, 4),
        ),
        "products": rows("products", 2, price=_amounts, category=_words, launched_at=_maybe_moments),
    }


@st.composite
def same_until(draw: st.DrawFn, database: Database, cut: datetime, items_with: str = "orders") -> Database:
    """The database as it might have gone on: what was known at `cut` is the same, all later rows are others.

    Items come with their orders, or with the table named.
    """
    other = draw(databases())
    key = _KEYS[items_with]
    times = {row[key]: row[TIME_OF[items_with]] for row in database[items_with]}
    kept = {
        "regions": list(database["regions"]),
        "customers": [_past(r, "created_at", cut, left_at=draw(_after(cut))) for r in database["customers"]],
        "orders": [_past(r, "ordered_at", cut, paid_at=draw(_after(cut))) for r in database["orders"]],
        "products": [_past(r, "launched_at", cut) for r in database["products"]],
        "items": [i for i in database["items"] if not _is_later(times.get(i[key]), cut)],
    }
    result = {name: [r for r in rows if r is not None] for name, rows in kept.items()}
    for name, time in TIME_OF.items():
        taken = {r[_KEYS[name]] for r in result[name]}
        for row in other[name]:
            if row[_KEYS[name]] not in taken:
                result[name].append({**row, time: draw(_after(cut))})
    later = {row[key] for row in result[items_with] if _is_later(row[TIME_OF[items_with]], cut)}
    lost = {i for i, time in times.items() if time is None}
    new = [row for row in other["items"] if row[key] in later - lost]
    result["items"] += [{**row, "item_id": 100 + i} for i, row in enumerate(new)]
    return result


def _past(row: Row, time: str, cut: datetime, **unknown: datetime | None) -> Row | None:
    """The row as known at `cut`, its timestamps after it replaced; None if it is later or never known."""
    if row[time] is None or row[time] > cut:
        return None
    changed = {name: value for name, value in unknown.items() if row[name] is None or row[name] > cut}
    return {**row, **changed}


def _is_later(moment: object, cut: datetime) -> bool:
    return isinstance(moment, datetime) and moment > cut


def _after(cut: datetime) -> st.SearchStrategy:
    return st.none() | st.integers(1, 40).map(lambda half_days: cut + timedelta(hours=12 * half_days))
