"""DuckDB's SQL as a plan writes it: a sqlglot dialect of our own on top of sqlglot's.

Windows end to end. A join on a range of many windows sorts all rows, or compares each with every window. Here rows meet
the windows that a day touches by that day, which is a join on equality, and the range decides among these: one or two
windows of a day or more, or those of one day.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB as SqlglotDuckDB
from sqlglot.generators.duckdb import DuckDBGenerator

from dbt_rfm.plan import sql

_DAY = "rfm day"


def _by_day(joined: exp.Join) -> exp.Join:
    """A join with windows (since, until], as one on each day that a window touches."""
    since, until, *_ = joined.args["on"].flatten(unnest=False)
    moment, first, last = since.this, since.expression, until.expression
    windows: exp.Table = joined.this
    one_day = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("DAY"))
    days = exp.GenerateTimestampArray(start=_day_of(first), end=last.copy(), step=one_day)
    everything = exp.Column(this=exp.Star(), table=sql.name(windows.alias))
    touched = sql.select(everything, sql.aliased(exp.Explode(this=days), _DAY)).from_(windows)
    same = exp.EQ(this=sql.column(_DAY, windows.alias), expression=_day_of(moment))
    return exp.Join(
        this=sql.subquery(touched, windows.alias), kind="INNER", on=sql.every([same, joined.args["on"].copy()])
    )


def _day_of(moment: exp.Expression) -> exp.Expression:
    return exp.TimestampTrunc(this=moment.copy(), unit=exp.var("DAY"))


class DuckDBRfm(SqlglotDuckDB):
    """Known to sqlglot as `duckdbrfm`."""

    class Generator(DuckDBGenerator):
        def join_sql(self, expression: exp.Join) -> str:
            return super().join_sql(_by_day(expression) if sql.is_end_to_end(expression) else expression)
