"""What is counted of an event's group beside its rows: the frequent values of their categories (the card's declined
payments), and what was there for the first time (a new device of the card; all of them together are its devices).

In: the scope, a group of the event's own table. Out: values that are 1 or null, or of which every new one counts, named
by what they count.
Time rule: which row was the first depends on earlier rows alone; rows at one moment are counted together or not at all.
"""

from __future__ import annotations

from dbt_rfm.plan import sql
from dbt_rfm.plan.event_groups import Group, shared_columns
from dbt_rfm.plan.values import FLAG, Scope, Value, flags_of_column

NEW = "new"  # a key or category: told is how many rows were the first to have theirs
COUNTED = (FLAG, NEW)
MAX_FREQUENT = 6  # values, those of categories with few of them first: states and types, not places
MAX_NEW = 3


def flags(scope: Scope, group: Group) -> tuple[Value, ...]:
    """Frequent values, then what was new."""
    categories = sorted(scope.columns(group.table), key=lambda column: len(column.values))
    frequent = [flag for column in categories for flag in flags_of_column(column, "r0")]
    others = [name for name in shared_columns(scope, group.table) if name not in group.columns]
    new = [Value(f"new {name}", NEW, sql.column(name, "r0")) for name in others[:MAX_NEW]]
    return (*frequent[:MAX_FREQUENT], *new)
