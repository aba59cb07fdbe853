"""A key of several columns as one: the table read with a column that combines them.

In: a schema, a table and the columns of its key. Out: a schema in which that table has one more column, named
`order_id, line_no`, whose text tells its rows apart, and which is its primary key. Everything behind the schema then
deals with one column, as for every other entity; the prediction table gets the columns of the key back
(`key_columns`). The parts are joined by `|`; a `|` within a text is written %7C, so different keys stay different. A
key with a null in it is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table

SEPARATOR = "|"
_ESCAPED = {"%": "%25", SEPARATOR: "%7C"}
_PLAIN = (Family.INTEGER, Family.NUMBER, Family.TIME, Family.BOOLEAN, Family.UUID)  # no | in their texts


def combined_name(columns: Sequence[str]) -> str:
    """
    >>> combined_name(["order_id", "line_no"])
    'order_id, line_no'
    """
    return ", ".join(columns)


def with_combined_key(schema: RelationalSchema, name: str, dialect: str) -> RelationalSchema:
    """The schema whose table `name`, with a key of several columns, has it as one column."""
    combined = _combined(schema.table(name), dialect)
    return replace(schema, tables=tuple(combined if table.name == name else table for table in schema.tables))


def key_columns(table: Table) -> tuple[Column, ...]:
    """The columns that the table's combined key is made of; none for a key of one column."""
    return tuple(table.column(name) for name in table.combined)


def _combined(table: Table, dialect: str) -> Table:
    name = combined_name(table.primary_key)
    parts = [_text(table.column(part)) for part in table.primary_key]
    whole: exp.Expression = parts[0]
    for part in parts[1:]:
        separated = exp.DPipe(this=whole, expression=exp.Literal.string(SEPARATOR))
        whole = exp.DPipe(this=separated, expression=part)
    column = exp.Alias(this=whole, alias=exp.to_identifier(name, quoted=True))
    read = exp.select("*", column).from_(table.relation, dialect=dialect)
    return replace(
        table,
        relation=f"({read.sql(dialect=dialect)}) as keyed",
        columns=(*table.columns, Column(name, "VARCHAR", SemanticType.ID)),
        primary_key=(name,),
        combined=table.primary_key,
    )


def _text(column: Column) -> exp.Expression:
    named = exp.column(exp.to_identifier(column.name, quoted=True))
    text: exp.Expression = exp.Cast(this=named, to=exp.DataType.build("text"))
    if family(column.data_type) in _PLAIN:
        return text
    for mark, written in _ESCAPED.items():
        text = exp.Replace(this=text, expression=exp.Literal.string(mark), replacement=exp.Literal.string(written))
    return text
