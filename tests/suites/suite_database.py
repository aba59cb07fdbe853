"""A database of the suite folder on DuckDB, with the schema its dataset.yml declares."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import yaml

from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.warehouse.duckdb import DuckDB

FOLDER = Path(os.environ.get("DBT_RFM_SUITE") or Path(__file__).parents[3] / "shared" / "suite")
_NUMBERS = ("BIGINT", "INTEGER", "DOUBLE", "DECIMAL", "HUGEINT", "FLOAT", "SMALLINT")


def spec_of(name: str) -> dict:
    return yaml.safe_load((FOLDER / name / "dataset.yml").read_text())


def load(name: str) -> tuple[dict, RelationalSchema, DuckDB, duckdb.DuckDBPyConnection]:
    """(dataset.yml, schema, warehouse, its connection)."""
    spec = spec_of(name)
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    for table, entry in spec["tables"].items():
        connection.execute(f"create table \"{table}\" as from '{FOLDER / name / entry['file']}'")
    columns = {t: connection.execute(f'describe "{t}"').fetchall() for t in spec["tables"]}
    links = tuple(_link(text, columns) for text in spec["links"])
    tables = tuple(_table(t, entry, columns[t], links) for t, entry in spec["tables"].items())
    return spec, RelationalSchema(tables, links), DuckDB(connection), connection


def _link(text: str, columns: dict) -> Link:
    (child, fk), (parent, pk) = (side.strip().split(".") for side in text.split("->"))
    return Link(child, _spelled(fk, columns[child]), parent, _spelled(pk, columns[parent]))


def _spelled(name: str, columns: list) -> str:
    return next(c[0] for c in columns if c[0].casefold() == name.casefold())


def _table(name: str, entry: dict, described: list, links: tuple[Link, ...]) -> Table:
    key = _spelled(entry["primary_key"], described)
    ids = {key} | {link.child_column for link in links if link.child == name}
    columns = tuple(Column(c[0], c[1], _semantic(c[0], c[1], ids)) for c in described)
    return Table(name, f'"{name}"', columns, (key,), entry["time_column"])


def _semantic(name: str, data_type: str, ids: set[str]) -> SemanticType:
    if name in ids:
        return SemanticType.ID
    if data_type.startswith(_NUMBERS):
        return SemanticType.NUMERICAL
    if data_type.startswith(("TIMESTAMP", "DATE")):
        return SemanticType.TIMESTAMP
    if data_type == "BOOLEAN":
        return SemanticType.BOOLEAN
    return SemanticType.TEXT if name in ("about_me", "body", "text", "title") else SemanticType.CATEGORICAL
