"""Labels: what came of each entity after each anchor.

In: a task, the name of a session table `anchors(anchor_time)`. Out: one SELECT of (entity, anchor_time, label).
Time rule: the window of an aggregation is (anchor + start, anchor + end], in calendar months where the unit says so; a
row counts if its event time lies in the window and everything on its path is known at the window's end (for a look-back
window: at the anchor). An entity takes part at an anchor if its row exists then, one without a time of its own once
that exists which its time link leads to. The columns of parents that an inner WHERE looks at are those known when the
row was; those of the entity's parents, those known at the anchor. A time in such a row (delivered_at) is null until it
has come: at the anchor, and for a label at the end of its window.
COUNT and SUM of nothing are 0. AVG, MIN, MAX, FIRST, LAST of nothing are undefined, and an example whose label is
undefined is left out. FIRST and LAST go by event time, ties by the lower and the higher primary key.

Each aggregation reads its rows once, joined with the anchors on the window and grouped by entity and anchor; entities
are joined to that result, never to the rows.
"""

from __future__ import annotations

from decimal import Decimal

from sqlglot import exp

from dbt_rfm.errors import QueryError
from dbt_rfm.plan import sql
from dbt_rfm.plan.conditions import Leaf, compile_condition, compile_operand
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.paths import Path, event_time, from_path, join_parents, known_time, times, top_key, valid_until
from dbt_rfm.plan.row_times import exists_at, still_valid, time_of
from dbt_rfm.plan.witnesses import witnesses_of_own
from dbt_rfm.pql.ast import ZERO_OF_NOTHING
from dbt_rfm.pql.task import BoundAggregation, BoundArithmetic, BoundColumn, BoundCondition, Task
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.types import Column, Link, Table
from dbt_rfm.task_kind import TaskKind

_AGGREGATES: dict[str, type[exp.Expression]] = {"SUM": exp.Sum, "AVG": exp.Avg, "MIN": exp.Min, "MAX": exp.Max}
LARGEST = "1e300"  # label that is computed
LABEL_TYPE = {TaskKind.BINARY: "boolean", TaskKind.MULTICLASS: "text", TaskKind.REGRESSION: "double"}


def labels_select(task: Task, graph: Graph, anchors: str) -> exp.Select:
    """(entity, anchor_time, label) of every eligible entity whose label is defined, at every anchor."""
    build = _Build(task, graph, anchors)
    value = build.target()
    conditions = [build.condition(c) for c in (task.where, task.assuming) if c is not None]
    if isinstance(task.target, BoundArithmetic):  # what overflows is undefined
        conditions.append(exp.LTE(this=exp.Abs(this=value.copy()), expression=sql.literal(Decimal(LARGEST))))
    label = exp.Cast(this=value, to=exp.DataType.build(LABEL_TYPE[task.kind]))
    conditions.append(exp.Not(this=exp.Is(this=exp.Paren(this=value.copy()), expression=exp.Null())))
    return build.select([sql.aliased(label, "label")], conditions)


def eligible_select(task: Task, graph: Graph, anchors: str) -> exp.Select:
    """(entity, anchor_time) of every entity that exists at the anchor and passes WHERE; its future plays no part."""
    build = _Build(task, graph, anchors)
    conditions = [build.condition(task.where)] if task.where is not None else []
    return build.select([], conditions)


class _Build:
    """One SELECT in the making: a CTE of entities, one per distinct aggregation, and the columns they are read from."""

    def __init__(self, task: Task, graph: Graph, anchors: str) -> None:
        self.task, self.graph, self.anchors = task, graph, anchors
        self._aggregations: list[BoundAggregation] = []
        self._columns: list[BoundColumn] = []

    def target(self) -> exp.Expression:
        target = self.task.target
        if isinstance(target, Leaf | BoundArithmetic):
            return compile_operand(target, self._leaf)
        return self.condition(target)

    def condition(self, condition: BoundCondition) -> exp.Expression:
        return compile_condition(condition, self._leaf)

    def select(self, extra: list[exp.Expression], conditions: list[exp.Expression]) -> exp.Select:
        steps = [("eligible", self._eligible())]
        query = sql.select(*sql.columns(("entity", "anchor_time"), "eligible"), *extra)
        query = query.from_(sql.temporary("eligible"), copy=False)
        for i, aggregation in enumerate(self._aggregations):
            step = f"aggregation_{i}"
            steps.append((step, aggregation_select(aggregation, self.graph, self.anchors)))
            on = [
                exp.EQ(this=sql.column(c, step), expression=sql.column(c, "eligible"))
                for c in ("entity", "anchor_time")
            ]
            sql.join(query, sql.temporary(step), sql.every(on), side="LEFT")
        if conditions:
            query = query.where(*conditions, copy=False)
        return sql.with_steps(query, steps)

    def _leaf(self, leaf: Leaf) -> exp.Expression:
        if isinstance(leaf, BoundColumn):
            return self._entity_column(leaf)
        if leaf not in self._aggregations:
            self._aggregations.append(leaf)
        value = sql.column("value", f"aggregation_{self._aggregations.index(leaf)}")
        return sql.zero_if_null(value) if leaf.function in ZERO_OF_NOTHING else value

    def _entity_column(self, leaf: BoundColumn) -> exp.Expression:
        if leaf.table.name != self.task.entity.table.name and not leaf.path:
            raise QueryError(
                f"{leaf.table.name}.{leaf.column.name} is no column of the entity table {self.task.entity.table.name}",
                hint="Compare an aggregation over its rows, such as LAST(…, -30, 0, days).",
            )
        if leaf not in self._columns:
            self._columns.append(leaf)
        return sql.column(f"column_{self._columns.index(leaf)}", "eligible")

    def _eligible(self) -> exp.Select:
        """Each entity once per anchor at which its row exists, with the columns that conditions look at."""
        entity = self.task.entity
        key = sql.column(entity.column.name, "e")
        at = sql.column("anchor_time", "a")
        query = sql.select(sql.aliased(key, "entity"), sql.aliased(at, "anchor_time"))
        query = query.distinct(copy=False).from_(self.graph.read_asked(entity.table, (), "e"), copy=False)
        conditions = exists_at(entity.table, "e", at)
        for witness in witnesses_of_own(self.graph, entity.table, "e"):
            query = witness.join(self.graph, query)
            conditions.append(exp.LTE(this=witness.time(self.graph), expression=at.copy()))
        sql.join(query, sql.temporary(self.anchors, "a"), sql.every(conditions) if conditions else None)
        parents = _Parents(self.graph, query, at)
        for i, leaf in enumerate(self._columns):
            value = as_known(leaf.table, leaf.column, parents.alias("e", leaf.path), at)
            query = query.select(sql.aliased(value, f"column_{i}"), copy=False)
        return query.where(sql.given(key), copy=False)


def aggregation_select(aggregation: BoundAggregation, graph: Graph, anchors: str) -> exp.Select:
    """(entity, anchor_time, value) wherever the window holds a row."""
    path = Path(aggregation.table, aggregation.path, asked=True)
    rows = _rows_in_window(aggregation, graph, path, anchors)
    if aggregation.function in ("FIRST", "LAST"):
        return _first_or_last(rows)
    value = sql.column("value", "w")
    if aggregation.function == "COUNT":
        result: exp.Expression = exp.Count(this=exp.Star() if aggregation.column is None else value)
    elif aggregation.function == "COUNT_DISTINCT":
        result = exp.Count(this=exp.Distinct(expressions=[value]))
    elif aggregation.function in _AGGREGATES:
        result = _AGGREGATES[aggregation.function](this=value)
    else:
        raise QueryError(
            f"{aggregation.function} cannot be computed yet",
            hint="Use COUNT, COUNT_DISTINCT, SUM, AVG, MIN, MAX, FIRST or LAST.",
        )
    by = sql.columns(("entity", "anchor_time"), "w")
    query = sql.select(*by, sql.aliased(result, "value"))
    query = query.from_(sql.subquery(rows, "w"), copy=False)
    return query.group_by(*(c.copy() for c in by), copy=False)


def _rows_in_window(aggregation: BoundAggregation, graph: Graph, path: Path, anchors: str) -> exp.Select:
    """(entity, anchor_time, value and for FIRST and LAST: place) of each row in each anchor's window."""
    at = sql.column("anchor_time", "a")
    column, value = aggregation.column, sql.literal(1)
    if column is not None:
        value = as_known(aggregation.table, column, path.alias(0), _known_by(aggregation, at))
    query = sql.select(
        sql.aliased(top_key(path), "entity"), sql.aliased(at, "anchor_time"), sql.aliased(value, "value")
    )
    if aggregation.function in ("FIRST", "LAST"):
        query = query.select(sql.aliased(_place(aggregation, graph, path), "place"), copy=False)
    query = from_path(graph, path, query)
    _join_anchors(aggregation, graph, path, query, anchors)
    if aggregation.where is not None:
        query = query.where(inner_condition(aggregation, graph, path, query, _known_by(aggregation, at)), copy=False)
    if aggregation.function in ("FIRST", "LAST"):
        query = query.where(sql.given(value), copy=False)
    return query


def _join_anchors(aggregation: BoundAggregation, graph: Graph, path: Path, query: exp.Select, anchors: str) -> None:
    """Each row with the anchors in whose window it lies."""
    at, window, time = sql.column("anchor_time", "a"), aggregation.window, event_time(graph, path)
    known_by = _known_by(aggregation, at)
    conditions: list[exp.Expression] = [exp.LTE(this=t, expression=known_by.copy()) for t in times(graph, path)[1:]]
    conditions += [still_valid(valid, known_by.copy()) for valid in valid_until(graph, path)]
    windows, until = sql.temporary(anchors, "a"), sql.later(at.copy(), window.end, window.unit)
    if time is not None and window.start is not None:
        since = sql.later(at.copy(), window.start, window.unit)
        sql.join_windows(query, windows, time, since, until, conditions)
        return
    if time is not None:
        conditions.insert(0, exp.LTE(this=time, expression=until))
    sql.join(query, windows, sql.every(conditions) if conditions else None)


def _known_by(aggregation: BoundAggregation, at: exp.Expression) -> exp.Expression:
    """The moment by which a row and what it holds have to be known: the window's end, of a look-back the anchor."""
    return sql.later(at.copy(), max(aggregation.window.end, 0), aggregation.window.unit)


def _place(aggregation: BoundAggregation, graph: Graph, path: Path) -> exp.Expression:
    """1 for the first (last) row of the entity's window. Without a time the primary key alone decides."""
    time = event_time(graph, path)
    keys = aggregation.table.primary_key or ((aggregation.column.name,) if aggregation.column else ())
    order = ([time] if time is not None else []) + sql.columns(keys, path.alias(0))
    by = [top_key(path), sql.column("anchor_time", "a")]
    return sql.numbered(by, order, descending=aggregation.function == "LAST")


def _first_or_last(rows: exp.Select) -> exp.Select:
    query = sql.select(*sql.columns(("entity", "anchor_time", "value"), "w"))
    query = query.from_(sql.subquery(rows, "w"), copy=False)
    return query.where(exp.EQ(this=sql.column("place", "w"), expression=exp.Literal.number(1)), copy=False)


def inner_condition(
    aggregation: BoundAggregation, graph: Graph, path: Path, query: exp.Select, known_by: exp.Expression
) -> exp.Expression:
    """The WHERE inside an aggregation over the rows of `query`, which reads `path`; parents it needs are joined.

    What the rows hold counts as known by that moment.
    """
    assert aggregation.where is not None
    return compile_condition(aggregation.where, _Inner(aggregation, graph, path, query, known_by).column)


class _Parents:
    """Parents joined to a query, each way once."""

    def __init__(self, graph: Graph, query: exp.Select, at: exp.Expression) -> None:
        self.graph, self.query, self.at = graph, query, at
        self._joined: dict[tuple[str, tuple[Link, ...]], str] = {}

    def alias(self, start: str, links: tuple[Link, ...]) -> str:
        """The alias of the row that `links` lead to from the row aliased `start`."""
        if not links:
            return start
        if (start, links) not in self._joined:
            prefix = f"p{len(self._joined)}"
            self._joined[start, links] = join_parents(self.graph, self.query, start, links, self.at, prefix)
        return self._joined[start, links]


class _Inner:
    """The columns that the WHERE inside an aggregation looks at: of the rows, of tables on their way, of parents."""

    def __init__(
        self, aggregation: BoundAggregation, graph: Graph, path: Path, query: exp.Select, known_by: exp.Expression
    ) -> None:
        self.table, self.path, self.known_by = aggregation.table.name, path, known_by
        self.parents = _Parents(graph, query, known_time(graph, path) or self.known_by)

    def column(self, leaf: Leaf) -> exp.Expression:
        if not isinstance(leaf, BoundColumn) or (leaf.table.name != self.table and not leaf.path):
            raise QueryError(f"the WHERE inside an aggregation over {self.table} may only look at columns of its rows")
        shared = 0
        while leaf.path[: shared + 1] == self.path.links[: shared + 1] and shared < min(
            len(leaf.path), len(self.path.links) - 1
        ):
            shared += 1  # tables on the way to the entity are in the query already
        alias = self.parents.alias(self.path.alias(shared), leaf.path[shared:])
        return as_known(leaf.table, leaf.column, alias, self.known_by)


def as_known(table: Table, column: Column, alias: str, known_by: exp.Expression) -> exp.Expression:
    """The column as it was at a moment: a time that had not come yet is null, whatever has been filled in since."""
    value = _comparable(column, alias)
    if family(column.data_type) is not Family.TIME or column.name in (table.time_column, table.valid_from):
        return value  # a row counts once these have come
    return sql.when(exp.LTE(this=time_of(table, column.name, alias), expression=known_by.copy()), value)


def _comparable(column: Column, alias: str) -> exp.Expression:
    """The column, a timestamp in the form in which times are compared."""
    expression = sql.column(column.name, alias)
    is_time = column.data_type.upper().startswith(("TIMESTAMP", "DATETIME"))
    return sql.as_timestamp(expression, column.data_type) if is_time else expression
