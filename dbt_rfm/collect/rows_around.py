"""The rows around the examples, for the bundle and for models that read them.

In: a session table of examples and how many rows to keep per link. Out: per table of the schema its rows in Arrow, or
what selects them, where a large answer keeps them in tables of its run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.neighbours import neighbours_plan
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.task import BoundColumn
from dbt_rfm.warehouse.session import Session


def rows_around(
    session: Session,
    scope: Scope,
    names: Names,
    entity: BoundColumn,
    sizes: Sequence[int],
    *,
    most: int,
    what: str = "examples",
) -> tuple[dict[str, pa.Table], str]:
    """The rows of `names.examples` per table; none of more examples than `most`, and the reason."""
    count = session.count(sql.temporary(names.examples))
    if count > most:
        return {}, f"the bundle has no rows/: {count} {what} are more than {most}"
    selects = rows_planned(session, scope, names, entity, sizes)
    return {name: session.query(select) for name, select in selects.items()}, ""


def rows_planned(
    session: Session, scope: Scope, names: Names, entity: BoundColumn, sizes: Sequence[int]
) -> dict[str, exp.Expression]:
    """What selects them, per table; the session tables it reads are made."""
    plan = neighbours_plan(scope, names, entity.table, entity.column.name, sizes)
    session.run(plan.steps)
    return plan.rows
