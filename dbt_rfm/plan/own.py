"""The entity's own row and those of its parents, one and two hops up, as of each example, and where they agree.

Time rule: a timestamp is told as days before the anchor, and is unknown while it lies after the time the example may
look at, but for a fixed moment (`Column.fixed`), which is known with its row; a parent counts if its row existed then;
of a snapshot (SCD2) table the version valid then counts. Where a key is not unique the largest value is taken, so that
an example stays one row.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.agreements import Told, agreements
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.row_times import exists_at, time_of
from dbt_rfm.plan.values import NUMERICAL, Scope, column_value, fixed_moments, moment_ahead, spans_of, texts_of
from dbt_rfm.schema.types import Column, SemanticType, Table
from dbt_rfm.snapshot import Feature

_HOPS = 2
PARTS_OF_A_MOMENT = {"month": "MONTH", "day": "DAY", "weekday": "DOW", "hour": "HOUR"}


def own_block(scope: Scope, names: Names, table: Table, key: str, *, of_events: bool = False) -> Block | None:
    """Columns of the entity's row and of its parents; None if there is nothing to tell.

    Events are looked at from their own time, so what is told from there on need not be told twice.
    """
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    at = sql.column("as_of", "e")
    on = [exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "e")), *exists_at(table, "o", at)]
    sql.join(query, scope.graph.read_asked(table, (), "o"), sql.every(on), side="LEFT")
    outputs = _outputs(scope, table, "o", "own", table.name, since_row=not of_events)
    outputs += _when(scope, table, "o")
    told = _told(scope, table, "o", table.name)
    todo = [(link, "o", link.parent, _HOPS) for link in scope.graph.schema.parents(table.name)]
    for i, (link, alias, label, left) in enumerate(todo):
        parent, named = scope.graph.schema.table(link.parent), f"p{i}"
        on = [sql.linked(link, alias, named), *exists_at(parent, named, at.copy())]
        sql.join(query, scope.graph.read(parent, named), sql.every(on), side="LEFT")
        outputs += _outputs(scope, parent, named, "parent", label)
        told += _told(scope, parent, named, label)
        if left > 1:
            further = scope.graph.schema.parents(parent.name)
            todo += [(up, named, f"{label}.{up.parent}", left - 1) for up in further if up.parent != table.name]
    if not outputs:
        return None
    query = query.group_by(sql.column("example_id", "e"), copy=False)
    return block("own", query, sql.column("example_id", "e"), [*outputs, *agreements(told)])


def _outputs(
    scope: Scope, table: Table, alias: str, source: str, label: str, *, since_row: bool = True
) -> list[Output]:
    values = [v for column in scope.columns(table) for v in column_value(column, alias)]
    values += spans_of(scope, table, alias, since_row=since_row)
    outputs = [
        (Feature(f"{label}.{v.label}", v.kind, source, table.name), exp.Max(this=v.expression))
        for v in (*values, *texts_of(scope, table, alias))
    ]
    moments = [c for c in scope.columns(table) if c.semantic_type == SemanticType.TIMESTAMP]
    moments += [table.column(table.own_time)] if table.own_time else []
    ahead = fixed_moments(scope, table)
    return outputs + [_age(table, c, alias, source, label, ahead=c in ahead) for c in moments]


def _told(scope: Scope, table: Table, alias: str, label: str) -> list[Told]:
    return [Told(c, table.name, alias, f"{label}.{c.name}") for c in scope.columns(table)]


def _age(table: Table, column: Column, alias: str, source: str, label: str, *, ahead: bool) -> Output:
    anchor = sql.column("anchor_time", "e")
    if ahead:
        told = sql.days_between(moment_ahead(table, column, alias), anchor)
    else:
        moment = time_of(table, column.name, alias)
        seen = exp.LTE(this=moment, expression=sql.column("as_of", "e"))
        told = sql.when(seen, sql.days_between(moment.copy(), anchor))
    return Feature(f"{label}.{column.name}.age", NUMERICAL, source, table.name), exp.Max(this=told)


def _when(scope: Scope, table: Table, alias: str) -> Iterator[Output]:
    """Where in the year, the week and the day the fixed moments of the row lie."""
    for column in fixed_moments(scope, table):
        moment = exp.Max(this=moment_ahead(table, column, alias))
        for name, part in PARTS_OF_A_MOMENT.items():
            told = sql.as_double(exp.Extract(this=exp.var(part), expression=moment.copy()))
            yield Feature(f"{table.name}.{column.name}.{name}", NUMERICAL, "own", table.name), told
