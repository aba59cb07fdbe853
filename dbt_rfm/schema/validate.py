"""Do the rows keep what the schema says? Duplicate and null keys, missing parents, loose and empty tables.

In: a schema and its warehouse. Out: findings, the gravest first, each with a count and one example. An error is what
makes answers wrong: a key that is not unique in a table that others point at (each of their rows would be read twice),
or keys that cannot be compared. The rest is a warning, because real data has orphans and the plan lives with them.
All counting is SQL; no rows are fetched but the examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlglot import exp

from dbt_rfm.errors import DataError
from dbt_rfm.schema.data_types import Family, comparable, family
from dbt_rfm.schema.probe import column, valid_at
from dbt_rfm.schema.types import Column, Link, RelationalSchema, Table
from dbt_rfm.warehouse.base import Warehouse

#: Postgres compares them, but has no MIN of them.
_WITHOUT_SMALLEST = frozenset({Family.UUID, Family.BOOLEAN, Family.OTHER})


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    severity: Severity
    subject: str  # a table, or table.column
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.problem}{f' ({self.hint})' if self.hint else ''}"

    def raise_if_error(self) -> None:
        if self.severity is Severity.ERROR:
            raise DataError(self.problem, hint=self.hint)


def validate(schema: RelationalSchema, warehouse: Warehouse, *, entity: str | None = None) -> list[Finding]:
    """Check the rows of every table and link; `entity` is the table of the query's entity, whose key has to be one."""
    findings = [
        finding for table in schema.tables for finding in _check_table(schema, table, table.name == entity, warehouse)
    ]
    for link in schema.links:
        findings += _check_link(schema, link, warehouse)
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _check_table(schema: RelationalSchema, table: Table, is_entity: bool, warehouse: Warehouse) -> Iterator[Finding]:
    size, keyless = _size(table, warehouse)
    if not size:
        yield Finding(Severity.NOTE, table.name, f"{table.name} has no rows")
    if len(schema.tables) > 1 and not schema.parents(table.name) and not schema.children(table.name):
        yield Finding(
            Severity.WARNING,
            table.name,
            f"{table.name} is linked to no other table and adds nothing to a prediction",
            "Declare a relationships test on its foreign key.",
        )
    if not table.primary_key:
        return
    pointed_at = any(link.parent_column in table.primary_key for link in schema.children(table.name))
    yield from _check_duplicates(table, table.primary_key, is_entity or pointed_at, warehouse)
    if keyless:
        named = ", ".join(table.primary_key)
        yield Finding(
            Severity.WARNING,
            f"{table.name}.{table.primary_key[0]}",
            f"{keyless} of {size} {table.name} have no {named}, which is the key",
            "Such rows are never predicted and nothing points at them.",
        )
    for other in sorted({link.parent_column for link in schema.children(table.name)} - set(table.primary_key)):
        yield from _check_duplicates(table, (other,), True, warehouse)


def _check_duplicates(table: Table, key: tuple[str, ...], grave: bool, warehouse: Warehouse) -> Iterator[Finding]:
    columns = [column(name) for name in key]
    filled = [exp.Not(this=exp.Is(this=c.copy(), expression=exp.Null())) for c in columns]
    repeated = (
        exp.Select()
        .select(*columns, exp.alias_(exp.Count(this=exp.Star()), "dbt_rfm_n"))
        .from_(_current(table, warehouse).subquery("t"))
        .where(*filled)
        .group_by(*(c.copy() for c in columns))
        .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
    )
    example = [exp.alias_(_smallest(c.copy(), table.column(c.name)), f"e{i}") for i, c in enumerate(columns)]
    total = exp.Select().select(exp.Count(this=exp.Star()), *example).from_(repeated.subquery("r"))
    count, *smallest = _one(warehouse, total)
    if not count:
        return
    shown = f", e.g. {smallest[0]}" if len(key) == 1 else ""
    values = "1 value stands" if count == 1 else f"{count} values stand"
    yield Finding(
        Severity.ERROR if grave else Severity.WARNING,
        f"{table.name}.{key[0]}",
        f"{table.name}: {values} in more than one row of {', '.join(key)}, the key{shown}",
        f"Make {', '.join(key)} unique in {table.unique_id or table.name}, or declare another key.",
    )


def _check_link(schema: RelationalSchema, link: Link, warehouse: Warehouse) -> Iterator[Finding]:
    child, parent = schema.table(link.child), schema.table(link.parent)
    types = [child.column(link.child_column).data_type, parent.column(link.parent_column).data_type]
    subject = f"{link.child}.{link.child_column}"
    if not comparable(*types):
        yield Finding(
            Severity.ERROR,
            subject,
            f"{subject} is {types[0]} and {link.parent}.{link.parent_column} is {types[1]}: they cannot be compared",
            "Cast one of them in its model.",
        )
        return
    pointing, missing, example = _orphans(child, link, parent, warehouse)
    if missing:
        what = f"{missing} of {pointing} {subject} find no {link.parent}.{link.parent_column}, e.g. {example}"
        yield Finding(Severity.WARNING, subject, what)


def _orphans(child: Table, link: Link, parent: Table, warehouse: Warehouse) -> tuple[int, int, object]:
    """(rows that point somewhere, rows that point at nothing, the smallest such value)."""
    keys = exp.Select().select(exp.alias_(column(link.parent_column), "k")).distinct()
    keys = keys.from_(_rows(parent, warehouse).subquery("t"))
    value = column(link.child_column, "c")
    lost = exp.Is(this=exp.column("k", "p"), expression=exp.Null())
    counted = (
        exp.Select()
        .select(exp.Count(this=value.copy()))
        .select(exp.Count(this=exp.Case(ifs=[exp.If(this=lost, true=value.copy())])))
        .select(_smallest(exp.Case(ifs=[exp.If(this=lost.copy(), true=value.copy())]), child.column(link.child_column)))
        .from_(_rows(child, warehouse).subquery("c"))
        .join(keys.subquery("p"), on=exp.EQ(this=value, expression=exp.column("k", "p")), join_type="left")
    )
    pointing, missing, example = _one(warehouse, counted)
    return int(pointing), int(missing), example


def _smallest(value: exp.Expression, of: Column) -> exp.Min:
    if family(of.data_type) in _WITHOUT_SMALLEST:
        value = exp.Cast(this=value, to=exp.DataType.build("text"))
    return exp.Min(this=value)


def _rows(table: Table, warehouse: Warehouse) -> exp.Select:
    return exp.select("*").from_(table.relation, dialect=warehouse.dialect)


def _current(table: Table, warehouse: Warehouse) -> exp.Select:
    """One version of each row: a snapshot's key stands once per version."""
    rows = _rows(table, warehouse)
    if table.valid_to is None:
        return rows
    return rows.where(valid_at(table, datetime.now(UTC)))


def _size(table: Table, warehouse: Warehouse) -> tuple[int, int]:
    """(rows, rows without a key)."""
    is_null = [exp.Is(this=column(name), expression=exp.Null()) for name in table.primary_key]
    keyless: exp.Expression = exp.Literal.number(0)
    if is_null:
        keyless = exp.Count(this=exp.Case(ifs=[exp.If(this=exp.or_(*is_null), true=exp.Literal.number(1))]))
    counts = [exp.Count(this=exp.Star()), keyless]
    rows = exp.Select(expressions=counts).from_(_rows(table, warehouse).subquery("t"))
    size, without = _one(warehouse, rows)
    return int(size), int(without)


def _one(warehouse: Warehouse, select: exp.Expression) -> list:
    return [column[0].as_py() for column in warehouse.query(select).columns]
