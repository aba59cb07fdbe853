"""What is counted of an event's group beside its rows: the frequent values of their categories (the card's declined
payments), and what was there for the first time (a new device of the card; all of them together are its devices).

In: the scope, a group of the event's own table. Out: values that are 1 or null, named by what they count.
Time rule: which row was the first depends on earlier rows alone; of rows at one moment the primary key decides, and
they are counted together or not at all.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.event_groups import Group, shared_columns
from dbt_rfm.plan.row_times import in_time
from dbt_rfm.plan.values import FLAG, Scope, Value, flags_of_column

MAX_FREQUENT = 6  # values, those of categories with few of them first: states and types, not places
MAX_NEW = 3


def flags(scope: Scope, group: Group) -> tuple[Value, ...]:
    """Frequent values, then what was new."""
    categories = sorted(scope.columns(group.table), key=lambda column: len(column.values))
    frequent = [flag for column in categories for flag in flags_of_column(column, "r0")]
    others = [name for name in shared_columns(scope, group.table) if name not in group.columns]
    return (*frequent[:MAX_FREQUENT], *(_new(group, name) for name in others[:MAX_NEW]))


def _new(group: Group, name: str) -> Value:
    by = sql.columns((*group.columns, name), "r0")
    first = exp.EQ(this=sql.numbered(by, in_time(group.table, "r0")), expression=exp.Literal.number(1))
    there = sql.every([sql.given(sql.column(name, "r0")), first])
    return Value(f"new {name}", FLAG, sql.when(there, exp.Literal.number(1)))
