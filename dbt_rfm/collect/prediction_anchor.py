"""The moment that is predicted from: the anchor that the options ask for.

In: the options, the rows. Out: a moment in UTC without a zone, and notes for the reader.
Time rule: 'latest' is the newest event of the graph that can have happened: rows dated later than now, a typo or a plan
for next year, are passed over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dbt_rfm.collect.choice import tables_of_target
from dbt_rfm.errors import ProjectError
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.anchors import newest_event, shifted
from dbt_rfm.plan.graph import Graph
from dbt_rfm.pql.scope import joined
from dbt_rfm.pql.task import Task
from dbt_rfm.warehouse.session import Session

_ANY_CLOCK = timedelta(days=1)  # times of rows may be local ones


def named_anchor(options: Options) -> datetime | None:
    """The moment that the options name, UTC; None for 'latest', which only the rows can tell."""
    if options.anchor == "latest":
        return None
    if options.anchor == "now":
        return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    try:
        return sql.utc(datetime.fromisoformat(options.anchor))
    except ValueError as error:
        raise ProjectError(
            f"the anchor {options.anchor!r} is no moment",
            hint="Write 'latest', 'now' or a timestamp such as '2024-06-30' or '2024-06-30 12:00'.",
        ) from error


def anchor_of(session: Session, graph: Graph, options: Options) -> tuple[datetime, list[str]]:
    """The prediction anchor that the options ask for, and notes on it."""
    named = named_anchor(options)
    if named is not None:
        return named, []
    select = newest_event(graph, graph.schema.tables)
    found = session.value(select) if select is not None else None
    now = datetime.now(UTC).replace(tzinfo=None)
    if found is not None:
        return _newest_by(session, graph, found, now + _ANY_CLOCK)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today, ["no table of the graph has a time, so everything counts as always known and the anchor is today"]


def _newest_by(session: Session, graph: Graph, newest: datetime, now: datetime) -> tuple[datetime, list[str]]:
    """The newest event that can have happened: a typo or a plan for next year is no moment to predict from."""
    select = newest_event(graph, graph.schema.tables, until=now)
    happened = session.value(select) if newest > now and select is not None else None
    if happened is None:
        return newest, []
    return happened, [
        f"rows are dated up to {newest:%Y-%m-%d %H:%M}, later than now: the anchor is the newest of the others"
    ]


def notes_on_age(session: Session, graph: Graph, task: Task, anchor: datetime) -> list[str]:
    """Tables of the target whose rows end so long before the anchor that whole windows seem empty.

    A named anchor may lie beyond all rows; the newest event of the graph lies beyond those of a table that came late.
    """
    horizon = task.horizon
    if horizon is None:
        return []
    ended: dict[datetime, list[str]] = {}
    for table in tables_of_target(graph, task):
        select = newest_event(graph, [table], until=anchor)
        newest = session.value(select) if select is not None else None
        if newest is not None and shifted(newest, horizon.end, horizon.unit) < anchor:
            ended.setdefault(newest, []).append(table.name)
    return [_say_age(newest, anchor, tables) for newest, tables in ended.items()]


def _say_age(newest: datetime, anchor: datetime, tables: list[str]) -> str:
    gap = anchor - newest
    hours = gap // timedelta(hours=1)
    long = f"{gap.days} days" if gap.days > 1 else f"{hours} hours" if hours > 1 else f"{gap.seconds // 60} minutes"
    return (
        f"the newest row of {joined(tables)} before the anchor is of {newest:%Y-%m-%d %H:%M}, {long} before it: "
        "windows in between count as empty, as if nothing had happened. Bring newer rows, or name an anchor they reach"
    )
