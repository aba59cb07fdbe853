"""Postgres's SQL as a plan means it: a sqlglot dialect of our own on top of sqlglot's.

Order. Postgres sorts text by the language of its database, and a plan means the order of bytes, as DuckDB and
Snowflake have it: it decides ties, and so which rows are seen. Columns that rows are ordered by are written as
`pg_temp.rfm_key(column)`, which is the bytes of a text and any other value itself. (COLLATE "C" would need the types
of all columns; the function also sorts faster than a language does.) A session makes the function before all else:
`SESSION_FUNCTIONS`.

Time. Seconds between two moments are those of the clock that were begun, as elsewhere, without their fractions; from or
to infinity they are unknown, where Postgres would fail.

Keys. MAX knows no uuid: the one key of a group is taken from the list of them.

Windows. A join on a range compares every row with every window. Here the row's place among all ends of windows is found
by halving, and joined with the windows that hold this place. Ends are moved by a microsecond, the least there is,
because WIDTH_BUCKET counts an end that equals the moment and a window (since, until] has it inside.

Null. GREATEST and LEAST of something unknown are unknown to a plan; Postgres would leave the unknown out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres as SqlglotPostgres
from sqlglot.generator import Generator
from sqlglot.generators.postgres import PostgresGenerator

from dbt_rfm.plan import sql
from dbt_rfm.plan.sql import is_of_windows, is_the_one

_KEY = "pg_temp.rfm_key"
_PLACES = "pg_temp.rfm_places"
#: Keys are inlined by Postgres, so the second costs nothing. GENERATE_SERIES itself would be taken for a thousand rows,
#: and what it is joined with sorted or spilled for it: a window holds a few places.
SESSION_FUNCTIONS = tuple(
    f"CREATE OR REPLACE FUNCTION {declared} LANGUAGE sql STABLE PARALLEL SAFE AS '{body}'"
    for declared, body in (
        (f"{_KEY}(text) RETURNS bytea", "SELECT convert_to($1, ''UTF8'')"),
        (f"{_KEY}(anyelement) RETURNS anyelement", "SELECT $1"),
        (f"{_PLACES}(int, int) RETURNS SETOF int ROWS 3", "SELECT generate_series($1, $2)"),
    )
)


def _seconds_between(writer: Generator, expression: exp.DateDiff) -> str:
    unit = expression.args.get("unit")
    assert unit is not None and unit.name.upper() == "SECOND", "a plan counts seconds"
    finite = (
        f"NULLIF(NULLIF({writer.sql(expression, part)}, 'infinity'), '-infinity')" for part in ("this", "expression")
    )
    later, earlier = (f"DATE_TRUNC('second', {moment})" for moment in finite)
    return f"CAST(EXTRACT(EPOCH FROM {later} - {earlier}) AS BIGINT)"


def _by_place(joined: exp.Join) -> exp.Join:
    """A join with windows (since, until], as one on the place of the moment among the ends of all windows."""
    since, until, *also = joined.args["on"].flatten(unnest=False)
    moment, first, last = since.this, since.expression, until.expression
    windows: exp.Table = joined.this
    either = [sql.select(sql.aliased(end, "moment")).from_(windows) for end in (first, last)]
    ends = sql.select(_a_tick_later(sql.column("moment"))).distinct(copy=False)
    ends = ends.from_(sql.subquery(sql.union_all(either), "ends"), copy=False)
    ends = ends.where(sql.given(sql.column("moment")), copy=False).order_by(exp.Literal.number(1), copy=False)

    def place(of: exp.Expression) -> exp.Expression:
        return exp.Anonymous(this="WIDTH_BUCKET", expressions=[of, exp.Array(expressions=[ends.copy()])])

    after_last = exp.Sub(this=place(_a_tick_later(last)), expression=exp.Literal.number(1))
    places = exp.Anonymous(this=_PLACES, expressions=[place(_a_tick_later(first)), after_last])
    everything = exp.Column(this=exp.Star(), table=sql.name(windows.alias))
    placed = sql.select(everything, sql.aliased(places, "place")).from_(windows)
    same = exp.EQ(this=sql.column("place", windows.alias), expression=place(moment))
    on = sql.every([same, *(condition.copy() for condition in also)])
    return exp.Join(this=sql.subquery(placed, windows.alias), kind="INNER", on=on)


def _a_tick_later(moment: exp.Expression) -> exp.Expression:
    tick = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("MICROSECOND"))
    return exp.Add(this=moment.copy(), expression=tick)


def _largest(writer: Generator, expression: exp.Max) -> str:
    if not is_the_one(expression):
        return writer.func("MAX", expression.this)
    keys = writer.sql(expression, "this")
    return f"(ARRAY_AGG({keys} ORDER BY {keys} DESC NULLS LAST))[1]"


class PostgresRfm(SqlglotPostgres):
    """Known to sqlglot as `postgresrfm`."""

    class Generator(PostgresGenerator):
        TRANSFORMS = {  # noqa: RUF012  # sqlglot's own way to say so
            **PostgresGenerator.TRANSFORMS,
            exp.DateDiff: _seconds_between,
            exp.Max: _largest,
        }

        def ordered_sql(self, expression: exp.Ordered) -> str:
            written = super().ordered_sql(expression)
            if not isinstance(expression.this, exp.Column) or isinstance(expression.parent, exp.IndexParameters):
                return written
            column = self.sql(expression, "this")
            return f"{_KEY}({column}){written.removeprefix(column)}"

        def join_sql(self, expression: exp.Join) -> str:
            return super().join_sql(_by_place(expression) if is_of_windows(expression) else expression)

        def greatest_sql(self, expression: exp.Greatest) -> str:
            return self._unknown_if_any(expression, "GREATEST")

        def least_sql(self, expression: exp.Least) -> str:
            return self._unknown_if_any(expression, "LEAST")

        def _unknown_if_any(self, expression: exp.Greatest | exp.Least, function: str) -> str:
            given = [expression.this, *expression.expressions]
            written = self.func(function, *given)
            if expression.args.get("ignore_nulls"):
                return written
            unknown = exp.or_(*(exp.Is(this=e.copy(), expression=exp.Null()) for e in given))
            return f"CASE WHEN {self.sql(unknown)} THEN NULL ELSE {written} END"


@dataclass(frozen=True)
class Step:
    name: str
    text: str
    reads: int  # how often it is read by later steps and by the query


def written(query: exp.Expression) -> str:
    # A plan's expressions are large, and written out once: a copy first would double the time.
    return query.sql(dialect=PostgresRfm, copy=False)


def parted(query: exp.Expression) -> tuple[list[Step], str]:
    """The steps (CTEs) of a query and the text of the query without them."""
    found = query.args.get("with_")
    if found is None:
        return [], written(query)
    read = Counter(t.name for t in query.find_all(exp.Table) if not t.db)
    steps = [Step(cte.alias, written(cte.this), read[cte.alias]) for cte in found.expressions]
    query.set("with_", None)
    try:
        return steps, written(query)
    finally:
        query.set("with_", found)  # it may be asked again
