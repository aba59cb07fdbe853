"""Rows that last, from their time to a moment that ends them (`Column.ends`): tickets until they are solved.

In: the rows that point at an entity. Out: a block each for
    open       the rows that have begun and not ended: how many, since when the oldest, their numbers and categories;
    overdue    those of them whose fixed moment (`invoices.due_at`) has come, and since when;
    ended      how many ended in each window, how many days they took, and how many days late they were.
Time rule: an end counts from that moment on, and until then the row is open, whatever was written later. A row that
ended is known with the later of its time and its end. A fixed moment is known with its row.

Each is a summary of the same table read with other times: an open row is a version that is valid until its end, an
overdue one is so from its planned moment, and a row that ended happens when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block
from dbt_rfm.plan.row_times import time_of
from dbt_rfm.plan.summary import Detail, Summary
from dbt_rfm.plan.summary_block import summary_block
from dbt_rfm.plan.values import NUMERICAL, Scope, Value, fixed_moments, moment_ahead
from dbt_rfm.plan.windows import ALL, LookBack
from dbt_rfm.schema.types import Column, Table

MAX_ENDS, MAX_DUES = 2, 2  # columns of one table


def lasting_blocks(scope: Scope, summary: Summary, windows: tuple[LookBack, ...]) -> Iterator[Block]:
    """Of the rows of a summary, whose table has a time of its own."""
    table = summary.path.table
    for end in ends_of(scope, table):
        yield _block(scope, summary, f"{end}.open", replace(table, valid_to=end), OPEN)
        for due in _dues_of(scope, table):
            overdue = replace(table, time_column=due.name, valid_from=table.time_column, valid_to=end)
            yield _block(scope, summary, f"{end}.over {due.name}", overdue, OVERDUE)
        detail = Detail(windows, newest=1)
        yield _block(scope, summary, f"{end}.ended", ended(table, end), detail, lengths(scope, table, end))


OPEN = Detail((ALL,), spread=False, newest=1, categories=False, parents=0)
OVERDUE = Detail((ALL,), spread=False, newest=0, categories=False, parents=0)


def _block(
    scope: Scope, summary: Summary, name: str, table: Table, detail: Detail, only: tuple[Value, ...] = ()
) -> Block:
    path = replace(summary.path, table=table)
    return summary_block(scope, replace(summary, name=f"{summary.name}.{name}", path=path, detail=detail, only=only))


def ends_of(scope: Scope, table: Table) -> list[str]:
    """The columns that end a row of the table, at most MAX_ENDS."""
    return [c.name for c in table.columns if c.ends and scope.sees(table.name, c.name)][:MAX_ENDS]


def _dues_of(scope: Scope, table: Table) -> list[Column]:
    """Moments that were known with the row and are never moved: one that is put off tells that the row was late."""
    return fixed_moments(scope, table)[:MAX_DUES]


def ended(table: Table, end: str) -> Table:
    """The table, whose rows happen when they end."""
    return replace(table, time_column=end, valid_from=table.time_column)


def lengths(scope: Scope, table: Table, end: str) -> tuple[Value, ...]:
    """Of a row that ended, how many days it took, and by how many it was late."""
    assert table.time_column is not None, "a row that ends has a time"
    at = time_of(table, end, "r0")
    values = [Value("days", NUMERICAL, sql.days_between(time_of(table, table.time_column, "r0"), at))]
    for due in _dues_of(scope, table):
        late = sql.days_between(moment_ahead(table, due, "r0"), at.copy())
        is_late = sql.zero_or_one(exp.GT(this=late.copy(), expression=exp.Literal.number(0)))
        values += [Value(f"days after {due.name}", NUMERICAL, late), Value(f"after {due.name}", NUMERICAL, is_late)]
    return tuple(values)
