"""The option `label_delay`, read beside the table of events it is said of.

In: the option, the table. Out: a `Delay` whose column is there and holds moments, and notes on what it means for the
rows. Any moment may be named: one that is planned with the row and never moved (`due_at`), or one that is written when
the outcome comes (`closed_at`). The second is as true, but what comes early is learnt from first, and a row that has no
moment yet never: that is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from sqlglot import exp

from dbt_rfm.errors import ProjectError, did_you_mean
from dbt_rfm.options import Options, read_delay
from dbt_rfm.plan import sql
from dbt_rfm.plan.delays import known_at
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.pql.delay import Delay
from dbt_rfm.schema.types import Column, SemanticType, Table
from dbt_rfm.warehouse.session import Session


def outcome_delay(table: Table, options: Options) -> Delay | None:
    """When outcomes of the table's rows are known; None where nobody said. Raises ProjectError."""
    delay = read_delay(options.label_delay)
    if delay is None or not delay.column:
        return delay
    return replace(delay, column=_moment(table, delay.column, options.label_delay).name)


def _moment(table: Table, name: str, given: str) -> Column:
    said = f"option meta.rfm.label_delay is {given!r}"
    times = (c.name for c in table.columns if c.semantic_type is SemanticType.TIMESTAMP)
    moments = [name for name in times if name != table.time_column]
    by_column = f", or the column of {table.name} that says when, such as {moments[0]}" if moments else ""
    hint = f"Write how long after an event its outcome is known, '7 days'{by_column}."
    try:
        column = table.column(name)
    except ProjectError:
        lost = name.casefold() in (left.casefold() for left in table.left_out)
        why = f"{name} of {table.name} is left out" if lost else f"{table.name} has no column {name}"
        like = "" if lost else did_you_mean(name, moments)
        raise ProjectError(f"{said}, and {why}", where=table.unique_id, hint=f"{like} {hint}".strip()) from None
    if column.semantic_type is not SemanticType.TIMESTAMP:
        problem = f"{said}, and {table.name}.{column.name} is no date or timestamp ({column.data_type})"
        raise ProjectError(problem, where=table.unique_id, hint=hint)
    if column.name == table.time_column:
        problem = f"{said}, and {table.name}.{column.name} is when the row happened"
        raise ProjectError(problem, where=table.unique_id, hint="Write the span alone: '7 days', '0 days' for at once.")
    return column


def notes_on_delay(session: Session, graph: Graph, table: Table, delay: Delay, anchor: datetime) -> Iterator[str]:
    if not delay.column:
        return
    column = table.column(delay.column)
    if column.inferred and not column.fixed:
        yield (
            f"outcomes are known from {delay} on, and nothing shows that {table.name}.{delay.column} is known "
            "beforehand and never moved: where it comes earlier for one outcome than for another, the newest rows that "
            "are learnt from and tested on are mostly of the first; meta.rfm.semantic_type: timestamp on the column "
            "says that it is never moved"
        )
    missing = _never_known(session, graph, table, delay, anchor)
    if missing:
        yield f"{missing} rows of {table.name} have no {delay.column}, so their outcomes are never known"


def _never_known(session: Session, graph: Graph, table: Table, delay: Delay, anchor: datetime) -> int:
    time = own_time(table, "e")
    assert time is not None, "events have a time"
    missing = exp.Is(this=exp.Paren(this=known_at(delay, table, "e")), expression=exp.Null())
    query = sql.select(exp.Count(this=exp.Star())).from_(graph.read(table, "e"), copy=False)
    come = exp.LTE(this=time, expression=sql.timestamp(anchor))
    return session.value(query.where(come, missing, copy=False))
