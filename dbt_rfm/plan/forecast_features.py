"""Features of a forecast's examples beside those of its entity and anchor: the step, its calendar, the series.

In: session tables examples (entity, j, step), bases (one per entity and anchor), rolled series (series.py). Out: steps
to make and one block. Features with the source SERIES are in the unit of the label; those of groups are ratios to the
group's own mean, so that they tell a shape whatever the size. `ahead.py` tells what is known of a window beforehand.
Time rule: seen from edge j, window j - 1 is the newest closed one. `near` of a season knows one window more and is
left out where that would be window j or later. Groups are those of the anchor's moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.forecast_names import GROUP, SERIES, STEP
from dbt_rfm.plan import sql
from dbt_rfm.plan.ahead import join_plans, plan_steps, plans_of
from dbt_rfm.plan.blocks import Block, Names, Output, Step, block
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import exists_at
from dbt_rfm.plan.series import entity_select, everybody_select, rolled_select, siblings_select
from dbt_rfm.plan.timeline import CALENDAR, Season
from dbt_rfm.plan.values import CATEGORICAL, NUMERICAL
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import Link
from dbt_rfm.snapshot import Feature

LAGS = 8
MEANS = (4, 12, 52)


@dataclass(frozen=True)
class ForecastPlan:
    steps: tuple[Step, ...]
    block: Block


def forecast_plan(task: Task, graph: Graph, names: Names, bases: Names, found: Sequence[Season]) -> ForecastPlan:
    """Steps and the block over the examples of `names`; `bases.examples` has each entity and anchor once."""
    series = names("series")
    links = graph.schema.parents(task.entity.table.name)
    steps = [
        Step(names("rolled"), rolled_select(entity_select(series), found)),
        Step(names("everybody"), rolled_select(everybody_select(series), found)),
        Step(names("levels"), _levels(names, bases)),
    ]
    groups: list[_Group] = [_Group("everybody", names("everybody"), None)]
    for k, up in enumerate(links):
        steps.append(Step(names(f"siblings{k}"), rolled_select(siblings_select(task, graph, series, up), found)))
        steps.append(Step(names(f"parent{k}"), _parents(task, graph, bases, up)))
        label = f"{link_label(graph.schema, up)}>{up.parent}"
        groups.append(_Group(label, names(f"siblings{k}"), names(f"parent{k}")))
    plans = plans_of(task, graph)
    assert task.timeframes is not None, "a forecast has timeframes"
    steps += plan_steps(graph, plans, names, bases, task.timeframes)
    query, outputs = _series_outputs(names, bases, groups, found)
    outputs += join_plans(graph, query, plans, names, found)
    return ForecastPlan(tuple(steps), block("forecast", query, sql.column("example_id", "e"), outputs))


@dataclass(frozen=True)
class _Group:
    label: str
    rolled: str
    keys: str | None  # session table (example_id of the base, key); None: one group holds everybody


def _levels(names: Names, bases: Names) -> exp.Select:
    """(example_id of the base, lag1 …, means): the entity's newest windows as of each anchor."""
    query = sql.select().from_(sql.temporary(bases.examples, "b"), copy=False)
    on = [
        exp.EQ(this=sql.column("entity", "s"), expression=sql.column("entity", "b")),
        exp.LT(this=sql.column("i", "s"), expression=sql.column("j", "b")),
    ]
    sql.join(query, sql.temporary(names("series"), "s"), sql.every(on), side="LEFT")
    ago = exp.Sub(this=sql.column("j", "b"), expression=sql.column("i", "s"))
    label, of = sql.column("label", "s"), sql.column("example_id", "b")

    def within(number: int) -> exp.Expression:
        return sql.when(exp.LTE(this=ago.copy(), expression=exp.Literal.number(number)), label.copy())

    columns: list[exp.Expression] = [of]
    for k in range(1, LAGS + 1):
        at = sql.when(exp.EQ(this=ago.copy(), expression=exp.Literal.number(k)), label.copy())
        columns.append(sql.aliased(exp.Max(this=at), f"lag{k}"))
    columns += [sql.aliased(exp.Avg(this=within(k)), f"mean{k}") for k in MEANS]
    columns += [
        sql.aliased(exp.Avg(this=label.copy()), "mean"),
        sql.aliased(exp.StddevPop(this=within(12)), "spread"),
        sql.aliased(exp.Max(this=within(52)), "highest"),
        sql.aliased(exp.Min(this=within(52)), "lowest"),
        sql.aliased(sql.as_double(exp.Count(this=label.copy())), "count"),
    ]
    query.set("expressions", columns)
    return query.group_by(of.copy(), copy=False)


def _parents(task: Task, graph: Graph, bases: Names, up: Link) -> exp.Select:
    """(example_id of the base, key): the entity's parent as of the anchor."""
    table, key = task.entity.table, task.entity.column.name
    of = sql.column("example_id", "b")
    query = sql.select(of, sql.aliased(sql.the_one(sql.column(up.child_column, "o")), "key"))
    query = query.from_(sql.temporary(bases.examples, "b"), copy=False)
    on = [
        exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "b")),
        *exists_at(table, "o", sql.column("as_of", "b")),
    ]
    sql.join(query, graph.read(table, "o"), sql.every(on))
    return query.group_by(of.copy(), copy=False)


def _series_outputs(
    names: Names, bases: Names, groups: Sequence[_Group], found: Sequence[Season]
) -> tuple[exp.Select, list[Output]]:
    """The examples e with their window w, step t and base b, and what the series tell of them."""
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    window = exp.Sub(
        this=exp.Add(this=sql.column("j", "e"), expression=sql.column("step", "e")), expression=exp.Literal.number(1)
    )
    same_base = [exp.EQ(this=sql.column(c, "b"), expression=sql.column(c, "e")) for c in ("entity", "anchor_time")]
    same_step = exp.EQ(this=sql.column("step", "t"), expression=sql.column("step", "e"))
    sql.join(query, sql.temporary(names("steps"), "t"), same_step)
    sql.join(query, sql.temporary(names("windows"), "w"), exp.EQ(this=sql.column("i", "w"), expression=window))
    sql.join(query, sql.temporary(bases.examples, "b"), sql.every(same_base))
    on_base = exp.EQ(this=sql.column("example_id", "v"), expression=sql.column("example_id", "b"))
    sql.join(query, sql.temporary(names("levels"), "v"), on_base, side="LEFT")
    outputs = [*_step_outputs(), *_level_outputs()]
    for k, season in enumerate(found):
        outputs += _season(query, names("rolled"), sql.column("entity", "e"), "series", season, k, of_entity=True)
    for g, group in enumerate(groups):
        outputs += _group(query, group, g, found)
    return query, outputs


def _step_outputs() -> list[Output]:
    step = sql.as_double(sql.column("step", "e"))
    outputs: list[Output] = [(Feature("step", NUMERICAL, STEP), step)]
    outputs += [(Feature(f"window.{c}", NUMERICAL, "calendar"), sql.column(c, "w")) for c in (*CALENDAR, "hour")]
    outputs.append((Feature("window.weekday", CATEGORICAL, "calendar"), sql.column("weekday", "w")))
    return outputs


def _level_outputs() -> list[Output]:
    columns = [f"lag{k}" for k in range(1, LAGS + 1)] + [f"mean{k}" for k in MEANS]
    columns += ["mean", "spread", "highest", "lowest"]
    outputs: list[Output] = [(Feature(f"series.{c}", NUMERICAL, SERIES), sql.column(c, "v")) for c in columns]
    trend = _ratio(sql.column("mean4", "v"), sql.column("mean12", "v"))
    outputs.append((Feature("series.trend", NUMERICAL, GROUP), trend))
    outputs.append((Feature("series.count", NUMERICAL, STEP), sql.column("count", "v")))
    return outputs


def _season(
    query: exp.Select, rolled: str, key: exp.Expression, label: str, season: Season, k: int, *, of_entity: bool
) -> list[Output]:
    """The same season of the newest round: its value, with its neighbours, and against the mean of that time."""
    name, number = f"{label}.{season.name}", len(query.args["joins"])
    at, then = f"at{number}", f"then{number}"
    back = exp.Sub(this=sql.column("j", "e"), expression=sql.column(f"back{k}", "t"))
    gone = exp.Sub(this=sql.column("j", "e"), expression=sql.column(f"round{k}", "t"))
    gone = exp.Sub(this=gone, expression=exp.Literal.number(1))
    for alias, window in ((at, back), (then, gone)):
        on = [
            exp.EQ(this=sql.column("key", alias), expression=key.copy()),
            exp.EQ(this=sql.column("i", alias), expression=window),
        ]
        sql.join(query, sql.temporary(rolled, alias), sql.every(on), side="LEFT")
    closed = exp.GTE(this=sql.column(f"back{k}", "t"), expression=exp.Literal.number(2))
    near = sql.when(closed, sql.column("near", at))
    level = sql.column("mean12", then)
    indexes = [
        (Feature(f"{name}.index", NUMERICAL, GROUP), _ratio(sql.column("label", at), level)),
        (Feature(f"{name}.near.index", NUMERICAL, GROUP), _ratio(near, level.copy())),
    ]
    if not of_entity:
        return indexes
    return [
        (Feature(name, NUMERICAL, SERIES), sql.column("label", at)),
        (Feature(f"{name}.near", NUMERICAL, SERIES), near.copy()),
        (Feature(f"{name}.mean", NUMERICAL, SERIES), sql.column(f"season{k}", at)),
        *indexes,
    ]


def _group(query: exp.Select, group: _Group, g: int, found: Sequence[Season]) -> list[Output]:
    """The group's newest window and its trend, and its seasons, each against the group's mean."""
    key: exp.Expression = exp.Literal.number(0)
    if group.keys is not None:
        keys = f"k{g}"
        on = exp.EQ(this=sql.column("example_id", keys), expression=sql.column("example_id", "b"))
        sql.join(query, sql.temporary(group.keys, keys), on, side="LEFT")
        key = sql.column("key", keys)
    newest = f"n{g}"
    before = exp.Sub(this=sql.column("j", "e"), expression=exp.Literal.number(1))
    on_newest = [
        exp.EQ(this=sql.column("key", newest), expression=key.copy()),
        exp.EQ(this=sql.column("i", newest), expression=before),
    ]
    sql.join(query, sql.temporary(group.rolled, newest), sql.every(on_newest), side="LEFT")
    mean = sql.column("mean12", newest)
    outputs: list[Output] = [
        (Feature(f"{group.label}.newest", NUMERICAL, GROUP), _ratio(sql.column("label", newest), mean)),
        (Feature(f"{group.label}.trend", NUMERICAL, GROUP), _ratio(sql.column("mean4", newest), mean.copy())),
        (Feature(f"{group.label}.mean12", NUMERICAL, SERIES), mean.copy()),
    ]
    for k, season in enumerate(found):
        outputs += _season(query, group.rolled, key, group.label, season, k, of_entity=False)
    return outputs


def _ratio(above: exp.Expression, below: exp.Expression) -> exp.Expression:
    return exp.Div(this=above, expression=exp.Nullif(this=below, expression=exp.Literal.number("0.0")))
