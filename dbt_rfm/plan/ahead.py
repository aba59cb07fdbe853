"""What is known beforehand of a forecast's windows: promotions that are announced, bookings, invoices that fall due.

In: a task, session tables bases (one row per entity and anchor) and windows; columns that hold plans
(`Column.planned`). Out: for each plan n steps that make
    plan{n}     (base, j, begins, ends, v0, v1, …): the rows that were known at the base's anchor, edge j
    covered{n}  (base, j, i, share, v0, …): how much of window i they cover, their values times that; a moment counts 1
    usual{n}    (base, share, v0, …): the mean over the BEFORE windows before the anchor
and features of each example: those of its own window, and what they were before.
Time rule: a row counts once its time has come by the anchor, in the version valid then; where in the future it lies is
what it says itself. Rows of a table that is always known count always.

A plan is a table that points at the entity or at its parent, or at nothing (holidays), with an interval between two of
its planned moments, from its own time to one that is an end by its name, or with single moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.forecast_names import PLAN
from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names, Output, Step
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import exists_at, own_time, time_of
from dbt_rfm.plan.template import statement
from dbt_rfm.plan.timeline import Season
from dbt_rfm.plan.values import NUMERICAL, Scope, Value, flags_of, values_of
from dbt_rfm.pql.task import Task
from dbt_rfm.schema import names as words_of
from dbt_rfm.schema.types import Link, Table
from dbt_rfm.snapshot import Feature

BEFORE = 12  # windows before the anchor that what comes is compared with
MAX_PLANS, MAX_NUMBERS, MAX_FLAGS = 4, 2, 4
_ENDS = {"end", "ends", "until", "till", "to", "thru", "through", "expiry", "expires", "expiration", "finish", "stop"}


@dataclass(frozen=True)
class Plan:
    """`begins` None: the row's own time; equal to `ends`: a moment."""

    label: str
    table: Table
    begins: str | None
    ends: str
    link: Link | None  # to the entity or to its parent; None: the rows are everybody's
    parent: int | None  # which parent of the entity that is, None for the entity itself

    @property
    def is_moment(self) -> bool:
        return self.begins == self.ends


def plans_of(task: Task, graph: Graph) -> tuple[Plan, ...]:
    """At most MAX_PLANS: the entity's own first, then its parents', then everybody's."""
    schema, entity = graph.schema, task.entity
    ways: list[tuple[Link | None, int | None]] = [
        (link, None) for link in schema.children(entity.table.name) if link.parent_column == entity.column.name
    ]
    for k, up in enumerate(schema.parents(entity.table.name)):
        siblings = [s for s in schema.children(up.parent) if s.parent_column == up.parent_column]
        ways += [(link, k) for link in siblings if link.child != entity.table.name]
    found = [p for link, k in ways if link for p in _plans(schema.table(link.child), link_label(schema, link), link, k)]
    linked = {name for link in schema.links for name in (link.child, link.parent)}
    alone = [t for t in schema.tables if t.name not in linked]
    found += [p for table in alone for p in _plans(table, table.name, None, None)]
    return tuple(found[:MAX_PLANS])


def _plans(table: Table, label: str, link: Link | None, parent: int | None) -> Iterator[Plan]:
    planned = [c.name for c in table.columns if c.planned]
    ends = [name for name in planned if {*words_of.words(name)} & _ENDS]
    begins = [name for name in planned if name not in ends]
    if ends and (begins or table.own_time):
        yield Plan(label, table, begins[0] if begins else None, ends[0], link, parent)
    elif ends:
        yield Plan(label, table, ends[0], ends[0], link, parent)
    for name in begins[1:] if ends else begins:
        yield Plan(f"{label}.{name}", table, name, name, link, parent)


def plan_values(graph: Graph, plan: Plan) -> list[Value]:
    """A few numbers of the plan's rows, then whether a category has one of its frequent values."""
    scope = Scope(graph, ahead=False)
    numbers = [v for v in values_of(scope, plan.table, "r") if v.kind == NUMERICAL][:MAX_NUMBERS]
    return [*numbers, *flags_of(scope, plan.table, "r")[:MAX_FLAGS]]


def plan_steps(graph: Graph, plans: Sequence[Plan], names: Names, bases: Names, steps: int) -> list[Step]:
    """The session tables of each plan; of parents those that `forecast_features` makes of the keys are read."""
    found = []
    for n, plan in enumerate(plans):
        values = range(len(plan_values(graph, plan)))
        kept = "".join(f", p.v{k}" for k in values)
        sums = "".join(f", SUM(s.share * COALESCE(s.v{k}, 0)) AS v{k}" for k in values)
        means = "".join(f", SUM(c.v{k}) / {BEFORE}.0 AS v{k}" for k in values)
        covered = _COVERED.format(n=n, kept=kept, sums=sums, before=BEFORE, steps=int(steps))
        found += [
            Step(names(f"plan{n}"), _rows(graph, plan, names, bases)),
            Step(names(f"covered{n}"), statement(covered, names, f"plan{n}", "windows")),
            Step(names(f"usual{n}"), statement(_USUAL.format(n=n, means=means, before=BEFORE), names, f"covered{n}")),
        ]
    return found


def join_plans(
    graph: Graph, query: exp.Select, plans: Sequence[Plan], names: Names, found: Sequence[Season]
) -> list[Output]:
    """Features of the examples e of bases b, with windows w and steps t; the query is joined with what they read."""
    outputs: list[Output] = []
    seasons = {k: season for k, season in enumerate(found) if season.windows <= BEFORE}
    for n, plan in enumerate(plans):
        at: dict[str, tuple[str, exp.Expression]] = {
            "": (f"pw{n}", sql.column("i", "w")),
            ".newest": (f"pn{n}", _before(exp.Literal.number(1))),
        }
        at |= {f".{s.name}": (f"ps{n}_{k}", _before(sql.column(f"back{k}", "t"))) for k, s in seasons.items()}
        for alias, window in at.values():
            on_window = exp.EQ(this=sql.column("i", alias), expression=window)
            _join(query, names(f"covered{n}"), alias, on_window)
        _join(query, names(f"usual{n}"), f"pu{n}")
        tables = {when: alias for when, (alias, _) in at.items()} | {".usual": f"pu{n}"}
        values = [("", "share", True)]
        values += [(f".{v.label}", f"v{k}", v.kind == NUMERICAL) for k, v in enumerate(plan_values(graph, plan))]
        for label, column, is_compared in values:
            for when, alias in tables.items():
                if is_compared or not when:
                    value = sql.zero_if_null(sql.column(column, alias))
                    outputs.append((Feature(f"ahead.{plan.label}{label}{when}", NUMERICAL, PLAN), value))
    return outputs


def _join(query: exp.Select, table: str, alias: str, *conditions: exp.Expression) -> None:
    same = exp.EQ(this=sql.column("base", alias), expression=sql.column("example_id", "b"))
    sql.join(query, sql.temporary(table, alias), sql.every([same, *conditions]), side="LEFT")


def _before(number: exp.Expression) -> exp.Expression:
    return exp.Sub(this=sql.column("j", "e"), expression=number)


def _rows(graph: Graph, plan: Plan, names: Names, bases: Names) -> exp.Select:
    """(base, j, begins, ends, v0, …) of the rows known at the anchor that end within the past looked at, or later."""
    table = plan.table
    ends = time_of(table, plan.ends, "r")
    begins = own_time(table, "r") if plan.begins is None else time_of(table, plan.begins, "r")
    assert begins is not None, "an interval without a beginning starts at the row's own time"
    named = {"base": sql.column("example_id", "b"), "j": sql.column("j", "b"), "begins": begins, "ends": ends}
    named |= {f"v{k}": v.expression for k, v in enumerate(plan_values(graph, plan))}
    query = sql.select(*(sql.aliased(expression, name) for name, expression in named.items()))
    query = query.from_(sql.temporary(bases.examples, "b"), copy=False)
    conditions = exists_at(table, "r", sql.column("as_of", "b"))
    if plan.link is not None:
        key = sql.column("entity", "b")
        if plan.parent is not None:
            same = exp.EQ(this=sql.column("example_id", "k"), expression=sql.column("example_id", "b"))
            sql.join(query, sql.temporary(names(f"parent{plan.parent}"), "k"), same)
            key = sql.column("key", "k")
        conditions.insert(0, exp.EQ(this=sql.column(plan.link.child_column, "r"), expression=key))
    sql.join(query, graph.read(table, "r"), sql.every(conditions) if conditions else None)
    first = exp.Sub(this=sql.column("j", "b"), expression=exp.Literal.number(BEFORE))
    on_first = exp.EQ(this=sql.column("i", "f"), expression=first)
    sql.join(query, sql.temporary(names("windows"), "f"), on_first, side="LEFT")
    return query.where(sql.given(begins.copy()), _is_after(ends.copy(), sql.column("start_at", "f")), copy=False)


def _is_after(ends: exp.Expression, start: exp.Expression) -> exp.Expression:
    """Whether it ends after a moment, where there is one; it has to end."""
    later = exp.or_(exp.Is(this=start, expression=exp.Null()), exp.GT(this=ends, expression=start.copy()))
    return sql.every([sql.given(ends.copy()), exp.Paren(this=later)])


# By way of the places of windows around an anchor: Postgres would compare every row with every window.
_COVERED = """
SELECT s.base, s.j, s.i, SUM(s.share) AS share{sums}
FROM (
    SELECT p.base, p.j, w.i, CASE WHEN p.ends > p.begins THEN
        DATE_DIFF('second', GREATEST(p.begins, w.start_at), LEAST(p.ends, w.end_at))
        / (DATE_DIFF('second', w.start_at, w.end_at) * 1.0) ELSE 1.0 END AS share{kept}
    FROM plan{n} AS p
    JOIN windows AS o ON o.i >= -{before} AND o.i < {steps}
    JOIN windows AS w ON w.i = p.j + o.i AND p.begins <= w.end_at AND p.ends > w.start_at
) AS s
GROUP BY s.base, s.j, s.i
"""
_USUAL = """
SELECT c.base, SUM(c.share) / {before}.0 AS share{means} FROM covered{n} AS c WHERE c.i < c.j GROUP BY c.base
"""
