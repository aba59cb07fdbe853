"""What lies ahead of an entity by the fixed moments of rows that point at it: contracts that end, bookings to come.

In: the entity, its children with fixed moments (`Column.fixed`), the horizon. Out: one block per moment: how many of
the rows known have it ahead, and within the horizon, with the sums of two numbers of these; how far the soonest is, and
the last, which is negative where none is ahead.
Time rule: a row counts if everything on its path was known by `as_of`; what lies ahead is counted from `anchor_time`.

How it stays cheap. Rows are added up into cells between any two neighbouring moments of the examples, by when they were
known and by the moment they tell, as those of a summary are. A cell straddles none of them, so this is exact.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.bounds import bounds_select
from dbt_rfm.plan.children import link_label, paths_down
from dbt_rfm.plan.paths import Path, from_path, known_time, top_key, valid_until
from dbt_rfm.plan.row_times import still_valid
from dbt_rfm.plan.values import NUMERICAL, Scope, Value, fixed_moments, moment_ahead, values_of
from dbt_rfm.plan.windows import LookBack
from dbt_rfm.pql.ast import Window
from dbt_rfm.schema.fixed import NEVER
from dbt_rfm.schema.types import Column, Table
from dbt_rfm.snapshot import Feature

MAX_UPCOMING, MAX_NUMBERS = 4, 2


def upcoming_blocks(scope: Scope, names: Names, table: Table, key: str, horizon: Window) -> list[Block]:
    """One block per fixed moment of a child, at most MAX_UPCOMING."""
    near = [path for path in paths_down(scope.graph.schema, table, key) if len(path.links) == 1]
    found = [(path, column) for path in near for column in fixed_moments(scope, path.table)]
    return [_Upcoming(scope, names, path, column, horizon).block() for path, column in found[:MAX_UPCOMING]]


class _Upcoming:
    """The steps of one moment, and the features read from them."""

    def __init__(self, scope: Scope, names: Names, path: Path, column: Column, horizon: Window) -> None:
        self.scope, self.names, self.path, self.column, self.horizon = scope, names, path, column, horizon
        self.time, self.until = known_time(scope.graph, path), valid_until(scope.graph, path)
        values = values_of(scope, path.table, path.alias(0))
        self.numbers: list[Value] = [v for v in values if v.kind == NUMERICAL][:MAX_NUMBERS]

    def block(self) -> Block:
        label = f"{link_label(self.scope.graph.schema, self.path.links[0])}.{self.column.name}"
        query, outputs = self._read(label)
        made = block(f"{label}.ahead", query, sql.column("example_id", "e"), outputs)
        windows = (LookBack(0), LookBack(-self.horizon.end, self.horizon.unit))  # a look back of less than nothing
        bounds = bounds_select(self.names.examples, windows, NEVER)
        steps = [("bounds", bounds), ("rows", self._rows()), ("cells", self._cells())]
        return Block(made.name, sql.with_steps(made.select, steps), made.features)

    def _rows(self) -> exp.Select:
        """Of the entities asked about: when each row was known (t), what moment it tells (m), its numbers."""
        path = self.path
        moment = moment_ahead(path.table, self.column, path.alias(0))
        told: dict[str, exp.Expression] = {"key": top_key(path), "m": moment}
        told |= {} if self.time is None else {"t": self.time}
        told |= {f"until{i}": until for i, until in enumerate(self.until)}
        told |= {f"v{i}": value.expression for i, value in enumerate(self.numbers)}
        query = from_path(self.scope.graph, path, sql.select(*(sql.aliased(e, name) for name, e in told.items())))
        asked = sql.select(sql.column("entity")).from_(sql.temporary(self.names.examples), copy=False)
        conditions = [sql.given(moment), exp.In(this=top_key(path), query=exp.Subquery(this=asked))]
        return query.where(*conditions, copy=False)

    def _cells(self) -> exp.Select:
        """Rows added up by (key, known, lo, hi): known by `known`, their moment in (lo, hi]."""
        by = {"key": sql.column("key", "r"), "lo": sql.column("lo", "a"), "hi": sql.column("hi", "a")}
        by |= {} if self.time is None else {"known": sql.column("hi", "k")}
        by |= {f"until{i}": sql.column(f"until{i}", "r") for i in range(len(self.until))}
        m = sql.column("m", "r")
        sums: dict[str, exp.Expression] = {"n": exp.Count(this=exp.Star())}
        sums |= {"soonest": exp.Min(this=m), "latest": exp.Max(this=m.copy())}
        sums |= {f"s{i}": exp.Sum(this=sql.column(f"v{i}", "r")) for i in range(len(self.numbers))}
        query = sql.select(*(sql.aliased(e, name) for name, e in (by | sums).items()))
        query = query.from_(sql.temporary("rows", "r"), copy=False)
        self._join_bounds(query, "a", m.copy())
        if self.time is not None:
            self._join_bounds(query, "k", sql.column("t", "r"))
        return query.group_by(*(e.copy() for e in by.values()), copy=False)

    def _join_bounds(self, query: exp.Select, alias: str, moment: exp.Expression) -> None:
        bounds = sql.temporary("bounds", alias)
        sql.join_windows(query, bounds, moment, sql.column("lo", alias), sql.column("hi", alias))

    def _read(self, label: str) -> tuple[exp.Select, list[Output]]:
        anchor, as_of = sql.column("anchor_time", "e"), sql.column("as_of", "e")
        on: list[exp.Expression] = [exp.EQ(this=sql.column("key", "c"), expression=sql.column("entity", "e"))]
        if self.time is not None:
            on.append(exp.LTE(this=sql.column("known", "c"), expression=as_of))
        on += [still_valid(sql.column(f"until{i}", "c"), as_of.copy()) for i in range(len(self.until))]
        query = sql.select().from_(sql.temporary(self.names.examples, "e"), copy=False)
        sql.join(query, sql.temporary("cells", "c"), sql.every(on), side="LEFT")
        query = query.group_by(*(sql.column(name, "e") for name in ("example_id", "anchor_time")), copy=False)
        end = sql.later(anchor.copy(), self.horizon.end, self.horizon.unit)
        ahead = exp.GTE(this=sql.column("lo", "c"), expression=anchor.copy())
        soon = sql.every([ahead.copy(), exp.LTE(this=sql.column("hi", "c"), expression=end)])
        soonest = exp.Min(this=sql.when(ahead.copy(), sql.column("soonest", "c")))
        latest = exp.Max(this=sql.column("latest", "c"))
        window = str(LookBack(self.horizon.end, self.horizon.unit))
        told = {
            "ahead.count": _sum(ahead, "n"),
            f"ahead.count.{window}": _sum(soon, "n"),
            "ahead.soonest": sql.days_between(anchor.copy(), soonest),
            "ahead.last": sql.days_between(anchor.copy(), latest),
        }
        told |= {f"ahead.{v.label}.sum.{window}": _sum(soon.copy(), f"s{i}") for i, v in enumerate(self.numbers)}
        table = self.path.table.name
        return query, [(Feature(f"{label}.{name}", NUMERICAL, "child", table), e) for name, e in told.items()]


def _sum(condition: exp.Expression, column: str) -> exp.Expression:
    return sql.as_double(sql.zero_if_null(exp.Sum(this=sql.when(condition, sql.column(column, "c")))))
