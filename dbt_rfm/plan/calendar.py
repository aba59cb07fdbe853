"""Where the anchor of each example lies: in the year, the week and, for an event, the day.

Time rule: of the anchor alone, which is always known.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.values import NUMERICAL
from dbt_rfm.snapshot import Feature


def calendar_block(names: Names) -> Block:
    """Where in the year and the week the anchor lies."""
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    parts = {"month": "MONTH", "quarter": "QUARTER", "day": "DAY", "weekday": "DOW"}
    outputs = [
        (
            Feature(f"anchor.{name}", NUMERICAL, "calendar"),
            sql.as_double(exp.Extract(this=exp.var(part), expression=sql.column("anchor_time", "e"))),
        )
        for name, part in parts.items()
    ]
    return block("calendar", query, sql.column("example_id", "e"), outputs)


def moment_block(names: Names) -> Block:
    """The hour of the event."""
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    hour = exp.Extract(this=exp.var("HOUR"), expression=sql.column("anchor_time", "e"))
    outputs: list[Output] = [(Feature("anchor.hour", NUMERICAL, "calendar"), sql.as_double(hour))]
    return block("moment", query, sql.column("example_id", "e"), outputs)
