"""What came of the entity before: its own closed labels, and those of everybody.

In: a session table labels(entity, anchor_time, known_at, label). Time rule: a label counts for an example if
known_at <= as_of, that is if its whole window had closed by then.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.values import CATEGORICAL, NUMERICAL
from dbt_rfm.snapshot import PAST_LABEL, PAST_LABELS, Feature
from dbt_rfm.task_kind import TaskKind

#: Features that by themselves are a forecast from the entity's own past.
HISTORY_MEAN, HISTORY_LATEST = "past.mean.all", PAST_LABELS[0]


def past_labels_block(names: Names, kind: TaskKind) -> Block:
    """lag1 (newest) to lag8, means of the last 3, 12 and all, count, age in days of the newest."""
    query = sql.select().from_(sql.subquery(_ranked(names, kind), "l"), copy=False)
    query = query.group_by(sql.column("example_id", "l"), copy=False)
    label, place = sql.column("value", "l"), sql.column("place", "l")
    shown = CATEGORICAL if kind == TaskKind.MULTICLASS else NUMERICAL

    def at(k: int, value: exp.Expression) -> exp.Expression:
        first = exp.EQ(this=place.copy(), expression=exp.Literal.number(k))
        return exp.Max(this=sql.when(first, value.copy()))

    outputs: list[Output] = [(Feature(name, shown, PAST_LABEL), at(k, label)) for k, name in enumerate(PAST_LABELS, 1)]
    if kind != TaskKind.MULTICLASS:
        for window in (3, 12, None):
            recent: exp.Expression = label.copy()
            if window:
                recent = sql.when(exp.LTE(this=place.copy(), expression=exp.Literal.number(window)), recent)
            name = f"past.mean.{window or 'all'}"
            outputs.append((Feature(name, NUMERICAL, PAST_LABEL), exp.Avg(this=recent)))
    known = exp.Count(this=sql.column("of", "l"))
    outputs.append((Feature("past.count", NUMERICAL, PAST_LABEL), sql.as_double(known)))
    age = sql.days_between(sql.column("of", "l"), sql.column("anchor_time", "l"))
    outputs.append((Feature("past.age", NUMERICAL, PAST_LABEL), at(1, age)))
    return block("past labels", query, sql.column("example_id", "l"), outputs)


def everybody_block(names: Names, kind: TaskKind) -> Block | None:
    """The mean label over all entities at the newest closed anchor and over the last six; None for classes."""
    if kind == TaskKind.MULTICLASS:
        return None
    place, rate = sql.column("place", "r"), sql.column("rate", "r")
    newest = sql.when(exp.EQ(this=place, expression=exp.Literal.number(1)), rate)
    recent = sql.when(exp.LTE(this=place.copy(), expression=exp.Literal.number(6)), rate.copy())
    means = {"newest": exp.Avg(this=newest), "recent": exp.Avg(this=recent)}
    # By moment, of which there are few, and only then by example.
    by_moment = sql.select(sql.column("as_of", "r"), *(sql.aliased(mean, named) for named, mean in means.items()))
    by_moment = by_moment.from_(sql.subquery(_rates(names, kind), "r"), copy=False)
    by_moment = by_moment.group_by(sql.column("as_of", "r"), copy=False)
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    on = exp.EQ(this=sql.column("as_of", "g"), expression=sql.column("as_of", "e"))
    sql.join(query, sql.subquery(by_moment, "g"), on, side="LEFT")
    outputs = [
        (Feature("everybody.lag1", NUMERICAL, PAST_LABEL), sql.column("newest", "g")),
        (Feature("everybody.mean.6", NUMERICAL, PAST_LABEL), sql.column("recent", "g")),
    ]
    return block("everybody", query, sql.column("example_id", "e"), outputs)


def _value(kind: TaskKind, alias: str) -> exp.Expression:
    label = sql.column("label", alias)
    if kind == TaskKind.MULTICLASS:
        return sql.as_text(label)
    if kind == TaskKind.BINARY:
        return sql.zero_or_one(label)
    return sql.as_double(label)


def _ranked(names: Names, kind: TaskKind) -> exp.Select:
    """(example_id, anchor_time, of, value, place): each example with its known labels, the newest first.

    `of` is the anchor of the label; an example without one stands here once, with nulls.
    """
    place = sql.numbered([sql.column("example_id", "x")], [sql.column("anchor_time", "y")], descending=True)
    query = sql.select(
        *sql.columns(("example_id", "anchor_time"), "x"),
        sql.aliased(sql.column("anchor_time", "y"), "of"),
        sql.aliased(_value(kind, "y"), "value"),
        sql.aliased(place, "place"),
    )
    query = query.from_(sql.temporary(names.examples, "x"), copy=False)
    on = [
        exp.EQ(this=sql.column("entity", "y"), expression=sql.column("entity", "x")),
        exp.LTE(this=sql.column("known_at", "y"), expression=sql.column("as_of", "x")),
    ]
    return sql.join(query, sql.temporary(names.labels, "y"), sql.every(on), side="LEFT")


def _rates(names: Names, kind: TaskKind) -> exp.Select:
    """(as_of, rate, place): the mean label of each closed anchor, the newest first."""
    by = [sql.column("anchor_time", "l"), sql.column("known_at", "l")]
    means = sql.select(*by, sql.aliased(exp.Avg(this=_value(kind, "l")), "rate"))
    means = means.from_(sql.temporary(names.labels, "l"), copy=False).group_by(*(c.copy() for c in by), copy=False)
    moments = sql.select(sql.column("as_of")).distinct(copy=False).from_(sql.temporary(names.examples), copy=False)
    place = sql.numbered([sql.column("as_of", "m")], [sql.column("anchor_time", "r")], descending=True)
    query = sql.select(sql.column("as_of", "m"), sql.column("rate", "r"), sql.aliased(place, "place"))
    query = query.from_(sql.subquery(moments, "m"), copy=False)
    on = exp.LTE(this=sql.column("known_at", "r"), expression=sql.column("as_of", "m"))
    return sql.join(query, sql.subquery(means, "r"), on)
