"""What a query asks of columns that know of rows which came later (schema/hindsight.py).

In: a Task. Out: notes for the reader. Time rule: a condition on such a column is of today at every anchor, so past
examples are chosen by what came of them. The query means what it says; that it says this is easily overlooked.
"""

from __future__ import annotations

from dbt_rfm.pql.scope import joined
from dbt_rfm.pql.task import BoundColumn, Task, leaves


def notes_on_hindsight(task: Task) -> list[str]:
    columns = [leaf for leaf in leaves(task.where) if isinstance(leaf, BoundColumn) and leaf.column.hindsight]
    named = list(dict.fromkeys(f"{c.table.name}.{c.column.name}" for c in columns))
    if not named:
        return []
    return [
        f"WHERE reads {joined(named)} as of today at every anchor, so past examples are chosen by what came of them "
        "later; a look back, such as COUNT(orders.*, -90, 0, days) > 0, asks the same as of each anchor"
    ]
