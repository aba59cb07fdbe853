"""What a schema holds and whether it is there, from information_schema.

In: names of database, schema and table as the warehouse keeps them. Out: a SELECT of (table_name, table_type), or of
(schema_name).
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp


def listed(database: str | None, schema: str, name: str | None, source: exp.Table | None = None) -> exp.Select:
    """`source`: where information_schema is, if one schema of that name does not tell of all databases."""
    asked = {"table_catalog": database, "table_schema": schema, "table_name": name}
    tables = source or exp.table_("tables", db="information_schema")
    return exp.select("table_name", "table_type").from_(tables).where(*_equal(asked))


def schemas(database: str | None, schema: str, source: exp.Table | None = None) -> exp.Select:
    """`source` as in `listed`."""
    asked = {"catalog_name": database, "schema_name": schema}
    return (
        exp.select("schema_name").from_(source or exp.table_("schemata", db="information_schema")).where(*_equal(asked))
    )


def _equal(asked: Mapping[str, str | None]) -> list[exp.Expression]:
    return [exp.column(column).eq(exp.Literal.string(value)) for column, value in asked.items() if value]


def kinds(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["table_name"]: row["table_type"] for row in rows}
