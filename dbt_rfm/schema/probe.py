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
from dbt_rfm.schema.types import Link, Table
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
        """Spread over all rows; in a snapshot table over the rows valid at `as_of`, or now."""
        rows = self.rows(table)
        if table.valid_to is not None:
            rows = rows.where(valid_at(table, self.as_of or datetime.now(UTC)))
        return self._ask(rows, columns, ())[0]

    def sample(
        self, table: Table, columns: Sequence[str], texts: Sequence[str]
    ) -> tuple[dict[str, Spread], dict[str, TextShape]]:
        """Spread of the columns and shape of the texts, in one look at a sample."""
        return self._ask(self.rows(table).limit(SAMPLE), columns, texts)

    def found_in_parent(self, child: Table, child_column: str, parent: Table, parent_column: str) -> tuple[int, int]:
        """(values of the child's column in a sample, how many of them the parent has)."""
        value = column(child_column)
        some = self.rows(child).where(exp.Not(this=exp.Is(this=value, expression=exp.Null()))).limit(SAMPLE)
        values = exp.Select(expressions=[exp.alias_(value.copy(), "v")]).from_(some.subquery("t"))
        keys = exp.Select(expressions=[exp.alias_(column(parent_column), "k")]).distinct()
        keys = keys.from_(self.rows(parent).subquery("t"))
        v, k = exp.column("v", "c"), exp.column("k", "p")
        counts = [exp.Count(this=v.copy()), exp.Count(this=k.copy())]
        joined = exp.Select(expressions=counts).from_(values.subquery("c"))
        sampled, found = self.one(joined.join(keys.subquery("p"), on=exp.EQ(this=v, expression=k), join_type="left"))
        return int(sampled), int(found)

    def shares_of_last(self, child: Table, ways: Sequence[Sequence[tuple[Link, Table]]]) -> list[float] | None:
        """For each way from the child up to a time: in how many of the child's rows no other way has a later one.

        In: ways of (link, its parent). Of rows that have all times, in a sample; None if there are none.
        """
        aliases = [f"t{i}" for i in range(len(ways))]
        joined = exp.Select().from_(self.rows(child).limit(SAMPLE).subquery("c"))
        for i, way in enumerate(ways):
            below = "c"
            for j, (link, parent) in enumerate(way):
                alias = f"p{i}_{j}"
                on = exp.EQ(this=column(link.parent_column, alias), expression=column(link.child_column, below))
                joined = joined.join(self._first_rows(parent, link.parent_column).subquery(alias), on=on)
                below = alias
            timed = way[-1][1]
            assert timed.own_time is not None, "a way leads up to a timed table"
            joined = joined.select(exp.alias_(time_of(timed, timed.own_time, below), aliases[i]))
        counted: list[exp.Expression] = [exp.Count(this=exp.Star())]
        for one in aliases:
            last = [exp.GTE(this=exp.column(one), expression=exp.column(other)) for other in aliases if other != one]
            counted.append(exp.Count(this=exp.Case(ifs=[exp.If(this=exp.and_(*last), true=exp.Literal.number(1))])))
        known = [exp.Not(this=exp.Is(this=exp.column(one), expression=exp.Null())) for one in aliases]
        asked = [exp.alias_(expression, f"a{i}") for i, expression in enumerate(counted)]
        total, *lasts = self.one(exp.Select(expressions=asked).from_(joined.subquery("t")).where(*known))
        return [int(last) / int(total) for last in lasts] if total else None

    def _first_rows(self, table: Table, key: str) -> exp.Select:
        """The rows of a table; of one with versions (key, time) of the first one."""
        if table.valid_from is None:
            return self.rows(table)
        assert table.own_time is not None, "the start of its validity, if no other"
        first = exp.alias_(exp.Min(this=column(table.own_time)), table.own_time, quoted=True)
        found = exp.Select(expressions=[column(key), first]).from_(self.rows(table).subquery("v"))
        return found.group_by(column(key))

    def all_rows(self, table: Table) -> exp.Select:
        """`select * from` the table, whatever `as_of` is."""
        return exp.select("*").from_(table.relation, dialect=self.warehouse.dialect)

    def rows(self, table: Table) -> exp.Select:
        """`select * from` the table, up to `as_of`."""
        select = self.all_rows(table)
        earlier = self._earlier(table, table.own_time) if table.own_time else None
        return select if earlier is None else select.where(earlier)

    def _earlier(self, table: Table, named: str) -> exp.Expression | None:
        """Whether the time in a column is not later than `as_of`; None without one."""
        if self.as_of is None:
            return None
        return exp.LTE(this=time_of(table, named), expression=moment_of(naive_utc(self.as_of)))

    def _ask(
        self, rows: exp.Select, columns: Sequence[str], texts: Sequence[str]
    ) -> tuple[dict[str, Spread], dict[str, TextShape]]:
        if not columns:
            return {}, {}
        asked: list[exp.Expression] = [exp.Count(this=exp.Star())]
        for name in columns:
            asked += [exp.Count(this=column(name)), exp.Count(this=exp.Distinct(expressions=[column(name)]))]
        for name in texts:
            asked += _shape(name)
        # Warehouses differ in how they spell the names of such columns, so answers are taken by position.
        named = [exp.alias_(expression, f"a{i}") for i, expression in enumerate(asked)]
        total, *answers = self.one(exp.Select(expressions=named).from_(rows.subquery("t")))
        counts, lengths = answers[: 2 * len(columns)], [value or 0 for value in answers[2 * len(columns) :]]
        spreads = [Spread(int(total), int(f), int(d)) for f, d in zip(counts[::2], counts[1::2], strict=True)]
        fours = zip(*[iter(lengths)] * 4, strict=True)
        shapes = [TextShape(float(mean), int(low), int(high), float(spaces)) for mean, low, high, spaces in fours]
        return dict(zip(columns, spreads, strict=True)), dict(zip(texts, shapes, strict=True))

    def one(self, select: exp.Expression) -> list:
        """The only row of the answer."""
        return [column[0].as_py() for column in self.warehouse.query(select).columns]


def _shape(name: str) -> list[exp.Expression]:
    """mean, least and greatest length, and mean number of spaces."""
    length = exp.Length(this=column(name))
    without = exp.func("replace", column(name), exp.Literal.string(" "), exp.Literal.string(""))
    spaces = exp.Sub(this=length.copy(), expression=exp.Length(this=without))
    return [exp.Avg(this=length), exp.Min(this=length.copy()), exp.Max(this=length.copy()), exp.Avg(this=spaces)]


def time_of(table: Table, named: str, alias: str | None = None) -> exp.Expression:
    """A column of moments as a timestamp in UTC without a zone."""
    time: exp.Expression = column(named, alias)
    if has_zone(table.column(named).data_type):
        time = exp.AtTimeZone(this=time, zone=exp.Literal.string("UTC"))
    return _as_timestamp(time)


def valid_at(table: Table, moment: datetime) -> exp.Expression:
    """Whether a version of a snapshot's row holds after a moment: without an end, or with a later one, as that which
    dbt_valid_to_current gives to current rows."""
    assert table.valid_to is not None, "only a snapshot has versions"
    open_end = exp.Is(this=column(table.valid_to), expression=exp.Null())
    later = exp.GT(this=time_of(table, table.valid_to), expression=moment_of(naive_utc(moment)))
    return exp.Or(this=open_end, expression=later)


def moment_of(moment: datetime) -> exp.Expression:
    return _as_timestamp(exp.Literal.string(moment.isoformat(sep=" ")))


def seconds_between(earlier: exp.Expression, later: exp.Expression) -> exp.Expression:
    difference = exp.DateDiff(this=later.copy(), expression=earlier.copy(), unit=exp.var("SECOND"))
    return exp.Cast(this=difference, to=exp.DataType.build("double"))


def _as_timestamp(time: exp.Expression) -> exp.Expression:
    return exp.Cast(this=time, to=exp.DataType.build("timestamp"))


def column(name: str, table: str | None = None) -> exp.Column:
    """A quoted column."""
    return exp.column(exp.to_identifier(name, quoted=True), table=table)


def naive_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
