"""A key of several columns as one: the table read with a column that combines them.

In: a schema, a table and the columns of its key. Out: a schema in which that table has one more column, named
`order_id, line_no`, whose text tells its rows apart, and which is its primary key. Everything behind the schema then
deals with one column, as for every other entity; the prediction table gets the columns of the key back
(`key_columns`). A foreign key of several columns becomes a link between two such columns. The parts are joined by `|`;
a `|` within a text is written %7C, so different keys stay different. A key with a null in it is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table

SEPARATOR = "|"
_ESCAPED = {"%": "%25", SEPARATOR: "%7C"}
_PLAIN = (Family.INTEGER, Family.NUMBER, Family.TIME, Family.BOOLEAN, Family.UUID)  # no | in their texts


@dataclass(frozen=True)
class CombinedLink:
    """A foreign key of several columns: `child` (columns) points at `parent` (fields), column by column."""

    child: str
    columns: tuple[str, ...]
    parent: str
    fields: tuple[str, ...]
    declared_by: str

    def __str__(self) -> str:
        return f"{self.child}.({combined_name(self.columns)}) -> {self.parent}.({combined_name(self.fields)})"


def combined_name(columns: Sequence[str]) -> str:
    """
    >>> combined_name(["order_id", "line_no"])
    'order_id, line_no'
    """
    return ", ".join(columns)


def with_combined_key(schema: RelationalSchema, name: str, dialect: str) -> RelationalSchema:
    """The schema whose table `name`, with a key of several columns, has it as one column."""
    return _changed(schema, _keyed(schema.table(name), dialect))


def with_combined_link(schema: RelationalSchema, link: CombinedLink, dialect: str) -> RelationalSchema:
    """The schema with a foreign key of several columns as a link between combined columns."""
    schema = _changed(schema, _with_column(schema.table(link.child), link.columns, dialect))
    parent = schema.table(link.parent)
    is_key = link.fields == parent.primary_key
    schema = _changed(schema, _keyed(parent, dialect) if is_key else _with_column(parent, link.fields, dialect))
    ends = combined_name(link.columns), combined_name(link.fields)
    made = Link(link.child, ends[0], link.parent, ends[1], link.declared_by)
    return replace(schema, links=(*schema.links, made))


def key_columns(table: Table) -> tuple[Column, ...]:
    """The columns that the table's combined key is made of; none for a key of one column."""
    return tuple(table.column(name) for name in table.combined)


def _changed(schema: RelationalSchema, table: Table) -> RelationalSchema:
    return replace(schema, tables=tuple(table if t.name == table.name else t for t in schema.tables))


def _keyed(table: Table, dialect: str) -> Table:
    combined = _with_column(table, table.primary_key, dialect)
    return replace(combined, primary_key=(combined_name(table.primary_key),))


def _with_column(table: Table, names: Sequence[str], dialect: str) -> Table:
    """The table with the columns combined, unless it has them so already."""
    name = combined_name(names)
    if any(column.name == name for column in table.columns):
        return table
    parts = [_text(table.column(part)) for part in names]
    whole: exp.Expression = parts[0]
    for part in parts[1:]:
        separated = exp.DPipe(this=whole, expression=exp.Literal.string(SEPARATOR))
        whole = exp.DPipe(this=separated, expression=part)
    column = exp.Alias(this=whole, alias=exp.to_identifier(name, quoted=True))
    read = exp.select("*", column).from_(table.relation, dialect=dialect)
    return replace(
        table,
        relation=f"({read.sql(dialect=dialect)}) as keyed",
        columns=(*table.columns, Column(name, "VARCHAR", SemanticType.ID, made_of=tuple(names))),
    )


def _text(column: Column) -> exp.Expression:
    named = exp.column(exp.to_identifier(column.name, quoted=True))
    text: exp.Expression = exp.Cast(this=named, to=exp.DataType.build("text"))
    if family(column.data_type) in _PLAIN:
        return text
    for mark, written in _ESCAPED.items():
        text = exp.Replace(this=text, expression=exp.Literal.string(mark), replacement=exp.Literal.string(written))
    return text
