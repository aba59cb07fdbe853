"""Where the anchor of each example lies: in the year, the week and, for an event, the day.

Time rule: of the anchor alone, which is always known.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.values import NUMERICAL
from dbt_rfm.pql.ast import UNIT_SECONDS, Window
from dbt_rfm.pql.windows import seconds_of
from dbt_rfm.snapshot import Feature

_WEEK, _MONTH = UNIT_SECONDS["weeks"], 28 * UNIT_SECONDS["days"]


def calendar_block(names: Names, horizon: Window | None) -> Block:
    """Where in the year, the month and the week the anchor lies; each only where windows are shorter than it.

    A window of 60 days has every weekday. There the day of the few anchors says which of them it is, and that of
    the prediction is another.
    """
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    length = seconds_of(horizon) if horizon is not None else 0
    parts = {"month": "MONTH", "quarter": "QUARTER"}
    parts |= {"day": "DAY"} if length < _MONTH else {}
    parts |= {"weekday": "DOW"} if length < _WEEK else {}
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
