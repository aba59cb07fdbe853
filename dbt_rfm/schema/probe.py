"""Questions to the data behind the schema's inferences: how many, how distinct, how long, found in the parent?

In: tables and columns. Out: counts. Time rule: with `as_of`, rows later than it are not looked at in any table that has
a time column, so that a schema read for a past anchor does not change with what came after. Uniqueness is counted over
all rows, because a sample proves nothing; everything else reads at most `SAMPLE` rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlglot import exp

from dbt_rfm.schema.data_types import has_zone
from dbt_rfm.schema.types import Table
from dbt_rfm.warehouse.base import Warehouse

SAMPLE = 10_000  # rows per look; milliseconds on any warehouse


@dataclass(frozen=True)
class Spread:
    """Of one column: rows, rows that are not null, distinct values."""

    rows: int
    filled: int
    distinct: int

    @property
    def is_key(self) -> bool:
        return self.rows == self.filled == self.distinct


@dataclass(frozen=True)
class TextShape:
    """Of one text column in the sample: characters per value and spaces per value."""

    mean_length: float
    min_length: int
    max_length: int
    mean_spaces: float


@dataclass(frozen=True)
class Probe:
    warehouse: Warehouse
    as_of: datetime | None = None

    def keys(self, table: Table, columns: Sequence[str]) -> dict[str, Spread]:
        """Spread over all rows; in a snapshot table over the rows valid now."""
        if not columns:
            return {}
        rows = self.rows(table)
        if table.valid_to is not None and self.as_of is None:
            rows = rows.where(exp.Is(this=column(table.valid_to), expression=exp.Null()))
        return self._spreads(rows, columns)

    def sampled(self, table: Table, columns: Sequence[str]) -> dict[str, Spread]:
        return self._spreads(self.rows(table).limit(SAMPLE), columns) if columns else {}

    def texts(self, table: Table, columns: Sequence[str]) -> dict[str, TextShape]:
        if not columns:
            return {}
        select = exp.Select()
        for i, name in enumerate(columns):
            value = exp.Cast(this=column(name), to=exp.DataType.build("text"))
            length = exp.Length(this=value)
            without = exp.func("replace", value, exp.Literal.string(" "), exp.Literal.string(""))
            spaces = exp.Sub(this=length, expression=exp.Length(this=without))
            shape = (exp.Avg(this=length), exp.Min(this=length), exp.Max(this=length), exp.Avg(this=spaces))
            select = select.select(*(exp.alias_(e.copy(), f"v{i}_{j}") for j, e in enumerate(shape)), copy=False)
        answers = [value or 0 for value in self._one(select.from_(self.rows(table).limit(SAMPLE).subquery("t")))]
        shapes = [
            TextShape(float(a), int(b), int(c), float(d)) for a, b, c, d in zip(*[iter(answers)] * 4, strict=True)
        ]
        return dict(zip(columns, shapes, strict=True))

    def found_in_parent(self, child: Table, child_column: str, parent: Table, parent_column: str) -> tuple[int, int]:
        """(values of the child's column in a sample, how many of them the parent has)."""
        value = column(child_column)
        some = self.rows(child).where(exp.Not(this=exp.Is(this=value, expression=exp.Null()))).limit(SAMPLE)
        values = exp.Select().select(exp.alias_(value.copy(), "v")).from_(some.subquery("t"))
        keys = (
            exp.Select()
            .select(exp.alias_(column(parent_column), "k"))
            .distinct()
            .from_(self.rows(parent).subquery("t"))
        )
        joined = (
            exp.Select()
            .select(exp.alias_(exp.Count(this=exp.column("v", "c")), "n"))
            .select(exp.alias_(exp.Count(this=exp.column("k", "p")), "found"))
            .from_(values.subquery("c"))
            .join(keys.subquery("p"), on=exp.column("v", "c").eq(exp.column("k", "p")), join_type="left")
        )
        sampled, found = self._one(joined)
        return int(sampled), int(found)

    def rows(self, table: Table) -> exp.Select:
        """`select * from` the table, up to `as_of`."""
        select = exp.select("*").from_(table.relation, dialect=self.warehouse.dialect)
        if self.as_of is None or table.time_column is None:
            return select
        moment = exp.Literal.string(naive_utc(self.as_of).isoformat(sep=" "))
        limit = exp.Cast(this=moment, to=exp.DataType.build("timestamp"))
        time: exp.Expression = column(table.time_column)
        if has_zone(table.column(table.time_column).data_type):
            time = exp.AtTimeZone(this=time, zone=exp.Literal.string("UTC"))
        return select.where(exp.LTE(this=exp.Cast(this=time, to=limit.to.copy()), expression=limit))

    def _spreads(self, rows: exp.Select, columns: Sequence[str]) -> dict[str, Spread]:
        select = exp.Select().select(exp.alias_(exp.Count(this=exp.Star()), "n"))
        for i, name in enumerate(columns):
            distinct = exp.Count(this=exp.Distinct(expressions=[column(name)]))
            select = select.select(exp.alias_(exp.Count(this=column(name)), f"f{i}"), copy=False)
            select = select.select(exp.alias_(distinct, f"d{i}"), copy=False)
        total, *counts = map(int, self._one(select.from_(rows.subquery("t"))))
        return {
            name: Spread(total, filled, distinct)
            for name, filled, distinct in zip(columns, counts[::2], counts[1::2], strict=True)
        }

    def _one(self, select: exp.Expression) -> list:
        """The only row, by position: warehouses differ in how they spell unquoted names."""
        (row,) = self.warehouse.query(select).to_pylist()
        return list(row.values())


def column(name: str, table: str | None = None) -> exp.Column:
    """A quoted column."""
    return exp.column(exp.to_identifier(name, quoted=True), table=table)


def naive_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
