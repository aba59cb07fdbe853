"""When a row exists, by what its own table says.

In: a table and the alias that its rows have in a query. Out: times, and conditions on them.
Time rule: a row has the time of its time column; a version of a snapshot table (SCD2) without one, the start of its
validity. It exists from that time on, a version also not before its start and not at its end or later. A row of a table
without any time always exists.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.schema.types import Table


def own_time(table: Table, alias: str) -> exp.Expression | None:
    """When a row of the table happened, None if its table has no time."""
    return None if table.own_time is None else time_of(table, table.own_time, alias)


def times_of(table: Table, alias: str) -> list[exp.Expression]:
    """When a row happened, then when it became valid, if those are two."""
    named = dict.fromkeys(name for name in (table.time_column, table.valid_from) if name is not None)
    return [time_of(table, name, alias) for name in named]


def in_time(table: Table, alias: str) -> list[exp.Expression]:
    """What puts the rows of a table in order: time, if it has one, then its primary key."""
    time = own_time(table, alias)
    return [*([] if time is None else [time]), *sql.columns(table.primary_key, alias)]


def time_of(table: Table, named: str, alias: str) -> exp.Expression:
    return sql.as_timestamp(sql.column(named, alias), table.column(named).data_type)


def latest(times: Sequence[exp.Expression]) -> exp.Expression | None:
    if len(times) < 2:
        return times[0] if times else None
    return exp.Greatest(this=times[0], expressions=[*times[1:]])


def still_valid(until: exp.Expression, at: exp.Expression) -> exp.Expression:
    return exp.Paren(this=exp.or_(exp.Is(this=until, expression=exp.Null()), exp.GT(this=until.copy(), expression=at)))


def exists_at(table: Table, alias: str, at: exp.Expression) -> list[exp.Expression]:
    """Conditions under which a row of the table exists at a moment: its time has come, its validity lasts."""
    conditions: list[exp.Expression] = []
    since = own_time(table, alias)
    if since is not None:
        conditions.append(exp.LTE(this=since, expression=at))
    if table.valid_from is not None and table.time_column is not None:
        conditions.append(exp.LTE(this=time_of(table, table.valid_from, alias), expression=at.copy()))
    if table.valid_to is not None:
        conditions.append(still_valid(time_of(table, table.valid_to, alias), at.copy()))
    return conditions
