"""Queries asked of small tables written as SQL: text to labels on DuckDB, for answers worked out by hand.

`World` reads the tables' columns from DuckDB itself; keys, times and links are said here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb
import pyarrow as pa

from dbt_rfm.plan.examples import query_examples
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import eligible_select, labels_select
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.semantics import by_data_type
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.warehouse.duckdb import DuckDB


def link(text: str) -> Link:
    """`orders.customer_id -> customers.customer_id`."""
    child, parent = text.split(" -> ")
    return Link(*child.split("."), *parent.split("."), declared_by="relationships test")


@dataclass(frozen=True)
class World:
    schema: RelationalSchema
    warehouse: DuckDB

    def bound(self, query: str) -> Task:
        return bind(parse(query), self.schema)

    def labels(self, query: str, *anchors: datetime) -> dict:
        """entity -> label at the one anchor; (entity, anchor) -> label at several."""
        rows = self._rows(labels_select(self.bound(query), Graph(self.schema, "duckdb"), "anchors"), anchors)
        found = {(r["entity"], r["anchor_time"]): r["label"] for r in rows}
        assert len(found) == len(rows), "an entity comes twice at one anchor"
        return {entity: label for (entity, _), label in found.items()} if len(anchors) == 1 else found

    def who(self, query: str, anchor: datetime) -> list:
        """The entities that pass WHERE at the anchor."""
        rows = self._rows(eligible_select(self.bound(query), Graph(self.schema, "duckdb"), "anchors"), [anchor])
        return sorted(r["entity"] for r in rows)

    def asked(self, query: str, anchor: datetime) -> list:
        """The entities that a prediction would be for."""
        task = self.bound(query)
        eligible = eligible_select(task, Graph(self.schema, "duckdb"), "anchors")
        return sorted(r["entity"] for r in self._rows(query_examples(eligible, task.entity_ids, "double"), [anchor]))

    def _rows(self, select, anchors: Sequence[datetime]) -> list[dict]:
        moments = pa.table({"anchor_time": pa.array(anchors, type=pa.timestamp("us"))})
        self.warehouse.load_temporary("anchors", moments)
        return self.warehouse.query(select).to_pylist()


def world(
    script: str,
    *,
    keys: Mapping[str, str | tuple[str, ...]],
    times: Mapping[str, str],
    links: Sequence[str],
    valid: Mapping[str, tuple[str, str]] | None = None,
) -> World:
    """Tables of the script, which runs on a database of its own."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(script)
    found = [link(text) for text in links]
    names = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
    tables = []
    for name in names:
        key = keys.get(name, ())
        key = (key,) if isinstance(key, str) else key
        ends = {k.child_column for k in found if k.child == name} | {*key}
        described = connection.execute(f'describe "{name}"').fetchall()
        columns = tuple(Column(c, kind, _semantic(c in ends, kind)) for c, kind, *_ in described)
        table = Table(name, f'"{name}"', columns, key, times.get(name))
        since, until = (valid or {}).get(name, (None, None))
        tables.append(replace(table, valid_from=since, valid_to=until))
    return World(RelationalSchema(tuple(tables), tuple(found)), DuckDB(connection))


def _semantic(is_key: bool, data_type: str) -> SemanticType:
    found = SemanticType.ID if is_key else by_data_type(data_type)
    return found or SemanticType.TEXT
