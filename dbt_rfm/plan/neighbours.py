"""The neighbourhood of each example as raw rows: its own row, the newest rows of each link, and theirs.

In: the scope, the entity, how many rows to keep per link at hop 1 and hop 2. Out: session tables to make, one per path
of one or two links, and one SELECT per table of the schema: (example_id, hop, link, the table's columns).
Time rule: a row counts if it existed at the example's `as_of`; the newest come first, ties by primary key, or by what
rows without one say. A timestamp in a row that lies after `as_of` is null, so are columns that become known later;
hidden columns are left out. Rows of the entity's own table at the very moment of the example do not count, nor does its
own row among its siblings.

Our own columns in the session tables begin with `rfm `, since columns of an RFM analysis begin with `rfm_`; a column of
the user's that is called like one of ours in the result gets an underscore. Where the own row would be among the newest
siblings there is one sibling less.
Rows of a key are numbered in time, so that the newest k visible ones are a range of numbers below the largest visible
one (see `summary_rows.py`). A parent is the one row its child points at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.delays import known_at
from dbt_rfm.plan.row_times import exists_at, latest, own_time, still_valid, time_of
from dbt_rfm.plan.values import Scope
from dbt_rfm.plan.witnesses import witnesses_of
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table

_EXAMPLE, _AS_OF, _SELF, _KEY, _SEQ, _TIME = (f"rfm {n}" for n in ("example_id", "as_of", "self", "key", "seq", "time"))
RESULT = ("example_id", "hop", "link")  # our columns, by which rows are ordered; then by their keys


@dataclass(frozen=True)
class Neighbours:
    steps: tuple[Step, ...]
    rows: dict[str, exp.Expression]  # table name -> SELECT


@dataclass(frozen=True)
class _Pick:
    """A session table (example_id, as_of, self, columns of `table`): the rows one path leads to."""

    step: Step
    table: Table
    hop: int
    label: str
    came_by: Link | None = None
    up: tuple[Link, ...] | None = None  # the links up to the entity; None if the path led upwards


def neighbours_plan(scope: Scope, names: Names, table: Table, key: str, sizes: Sequence[int]) -> Neighbours:
    """`sizes`: rows kept per link at hop 1 and, if given, per row and link at hop 2."""
    build = _Build(scope, names, table, key)
    picks = [build.own()]
    for size in sizes[:2]:
        reached = [p for p in picks if p.hop == picks[-1].hop]
        picks += [further for pick in reached for further in build.further(pick, size)]
    rows: dict[str, exp.Expression] = {}
    for t in scope.graph.schema.tables:
        found = [build.shown(p) for p in picks if p.table.name == t.name]
        if found:
            rows[t.name] = _ordered(t, found)
    return Neighbours(tuple(p.step for p in picks), rows)


def shown_graph(schema: RelationalSchema, entity: str) -> dict[str, Any]:
    """What the rows of the bundle are to each other, for `Snapshot.graph`."""
    return {
        "entity": entity,
        "tables": {
            t.name: {
                "key": [_shown_name(k) for k in t.primary_key],
                "columns": {_shown_name(c.name): str(c.semantic_type) for c in t.columns},
            }
            for t in schema.tables
        },
        "links": [
            [link.child, _shown_name(link.child_column), link.parent, _shown_name(link.parent_column)]
            for link in schema.links
        ],
    }


class _Build:
    def __init__(self, scope: Scope, names: Names, table: Table, key: str) -> None:
        self.scope, self.names, self.table, self.key = scope, names, table, key
        self.made = 0

    def own(self) -> _Pick:
        at = sql.column("as_of", "e")
        head = [
            sql.aliased(sql.column(source, "e"), ours)
            for source, ours in (("example_id", _EXAMPLE), ("as_of", _AS_OF), ("entity", _SELF))
        ]
        query = sql.select(*head, *_columns(self.table, "o"))
        query = query.from_(sql.temporary(self.names.examples, "e"), copy=False)
        on = [exp.EQ(this=sql.column(self.key, "o"), expression=sql.column("entity", "e"))]
        source = self.scope.graph.read_asked(self.table, (), "o")
        sql.join(query, source, sql.every([*on, *exists_at(self.table, "o", at)]))
        return self._pick(query, self.table, 0, "", None, ())

    def further(self, pick: _Pick, size: int) -> Iterator[_Pick]:
        """The parents and the newest children of the rows of a pick, but not back the way it came."""
        schema = self.scope.graph.schema
        for link in schema.parents(pick.table.name):
            if link != pick.came_by:
                label = f"{pick.label}>{link.parent}({link.child_column})"
                yield self._pick(self._parents(pick, link), schema.table(link.parent), pick.hop + 1, label, link)
        for link in schema.children(pick.table.name) if size else ():
            if link != pick.came_by or pick.hop == 1:
                label = f"{pick.label}<{link_label(schema, link)}"
                children = self._children(pick, link, size)
                yield self._pick(children, schema.table(link.child), pick.hop + 1, label, link, _up(pick, link))

    def shown(self, pick: _Pick) -> exp.Select:
        """The pick's rows in the form of the bundle."""
        seen = [
            sql.aliased(_guarded(self.scope, pick, column), _shown_name(column.name))
            for column in pick.table.columns
            if (pick.table.name, column.name) in self.scope.delayed
            or not (column.hindsight or (pick.table.name, column.name) in self.scope.hidden)
        ]
        hop, label = exp.Literal.number(pick.hop), exp.Literal.string(pick.label)
        example_id = sql.aliased(sql.column(_EXAMPLE, "n"), "example_id")
        head = [example_id, sql.aliased(hop, "hop"), sql.aliased(label, "link")]
        return sql.select(*head, *seen).from_(sql.temporary(pick.step.table, "n"), copy=False)

    def _pick(
        self,
        query: exp.Select,
        table: Table,
        hop: int,
        label: str,
        link: Link | None,
        up: tuple[Link, ...] | None = None,
    ) -> _Pick:
        step = Step(self.names(f"pick{self.made}"), query)
        self.made += 1
        return _Pick(step, table, hop, label, link, up)

    def _parents(self, pick: _Pick, link: Link) -> exp.Select:
        parent = self.scope.graph.schema.table(link.parent)
        query = sql.select(*_head(), *_columns(parent, "o"))
        query = query.from_(sql.temporary(pick.step.table, "b"), copy=False)
        on = [sql.linked(link, "b", "o"), *exists_at(parent, "o", sql.column(_AS_OF, "b"))]
        return sql.join(query, self.scope.graph.read(parent, "o"), sql.every(on))

    def _children(self, pick: _Pick, link: Link, size: int) -> exp.Select:
        child = self.scope.graph.schema.table(link.child)
        same, timed = child.name == self.table.name, self._time(child, link) is not None
        strict = same and timed
        steps = [
            ("base", _based(pick, link)),
            ("numbered", self._numbered(child, link, _up(pick, link))),
            ("newest", self._newest(strict) if timed else _newest_of_all()),
        ]
        columns = sql.columns([c.name for c in child.columns], "o")
        query = sql.select(*_head(), *columns).from_(sql.temporary("base", "b"), copy=False)
        to_newest = [exp.EQ(this=sql.column(_KEY, "w"), expression=sql.column(_KEY, "b"))]
        if timed:
            to_newest.append(exp.EQ(this=sql.column(_AS_OF, "w"), expression=sql.column(_AS_OF, "b")))
        sql.join(query, sql.temporary("newest", "w"), sql.every(to_newest))
        seq, newest = sql.column(_SEQ, "o"), sql.column("newest", "w")
        oldest = exp.Sub(this=newest, expression=exp.Literal.number(size))
        near: list[exp.Expression] = [
            exp.EQ(this=sql.column(link.child_column, "o"), expression=sql.column(_KEY, "b")),
            exp.LTE(this=seq, expression=newest.copy()),
            exp.GT(this=seq.copy(), expression=oldest),
        ]
        if same:
            own_key = sql.column(self.key, "o")
            near.append(exp.NEQ(this=own_key, expression=sql.column(_SELF, "b")))
        if child.valid_to is not None:
            near.append(still_valid(time_of(child, child.valid_to, "o"), sql.column(_AS_OF, "b")))
        return sql.with_steps(sql.join(query, sql.temporary("numbered", "o"), sql.every(near)), steps)

    def _time(self, child: Table, link: Link) -> exp.Expression | None:
        """When a row of the child was known, None if nothing says."""
        told = [witness.time(self.scope.graph) for witness in witnesses_of(self.scope.graph, link, "o")]
        return own_time(child, "o") or latest(told)

    def _numbered(self, child: Table, link: Link, up: tuple[Link, ...] | None) -> exp.Select:
        """The children of the keys asked for, numbered in time."""
        key, time = sql.column(link.child_column, "o"), self._time(child, link)
        stored = self.scope.graph.number(up, "o")
        order = [*([] if time is None else [time]), *sql.columns(_keys(child), "o")]
        seq = stored or sql.numbered([key], order)
        query = sql.select(*_columns(child, "o"), sql.aliased(seq, _SEQ))
        if time is not None:
            query = query.select(sql.aliased(time.copy(), _TIME), copy=False)
        query = query.select(sql.aliased(key.copy(), _KEY), copy=False)
        query = query.from_(self.scope.graph.read_asked(child, up, "o"), copy=False)
        for witness in witnesses_of(self.scope.graph, link, "o"):
            query = witness.join(self.scope.graph, query)
        conditions: list[exp.Expression] = []
        if stored is None:  # only what is numbered now has to be few
            asked = sql.select(sql.column(_KEY)).from_(sql.temporary("base"), copy=False)
            conditions.append(exp.In(this=key.copy(), query=exp.Subquery(this=asked)))
        if time is not None:
            conditions.append(sql.given(time))
        return query.where(*conditions, copy=False)

    def _newest(self, strict: bool) -> exp.Select:
        """(key, as_of, newest): the largest number visible, found over cells between the examples' moments."""
        source = sql.temporary("numbered", "c") if strict else self._cells()
        by = sql.columns((_KEY, _AS_OF), "b")
        seq = sql.column(_SEQ, "c")
        query = sql.select(*by, sql.aliased(exp.Max(this=seq), "newest"))
        points = sql.select(*sql.columns((_KEY, _AS_OF))).distinct(copy=False)
        points = points.from_(sql.temporary("base"), copy=False)
        query = query.from_(sql.subquery(points, "b"), copy=False)
        known = exp.LT if strict else exp.LTE
        on = [
            exp.EQ(this=sql.column(_KEY, "c"), expression=sql.column(_KEY, "b")),
            known(this=sql.column(_TIME, "c"), expression=sql.column(_AS_OF, "b")),
        ]
        sql.join(query, source, sql.every(on))
        return query.group_by(*(c.copy() for c in by), copy=False)

    def _cells(self) -> exp.Subquery:
        time, key, hi = sql.column(_TIME, "r"), sql.column(_KEY, "r"), sql.column("hi", "x")
        highest = [
            sql.aliased(exp.Max(this=sql.column(_TIME, "r")), _TIME),
            sql.aliased(exp.Max(this=sql.column(_SEQ, "r")), _SEQ),
        ]
        query = sql.select(key, *highest).from_(sql.temporary("numbered", "r"), copy=False)
        sql.join_windows(query, sql.temporary(self.names.bounds, "x"), time, sql.column("lo", "x"), hi)
        query = query.group_by(key.copy(), hi.copy(), copy=False)
        return sql.subquery(query, "c")


def _head() -> list[exp.Expression]:
    return sql.columns((_EXAMPLE, _AS_OF, _SELF), "b")


def _up(pick: _Pick, link: Link) -> tuple[Link, ...] | None:
    return None if pick.up is None else (link, *pick.up)


def _based(pick: _Pick, link: Link) -> exp.Select:
    """The pick's rows by the key their children point at."""
    query = sql.select(*_head(), sql.aliased(sql.column(link.parent_column, "b"), _KEY)).distinct(copy=False)
    return query.from_(sql.temporary(pick.step.table, "b"), copy=False)


def _newest_of_all() -> exp.Select:
    key = sql.column(_KEY, "c")
    query = sql.select(key, sql.aliased(exp.Max(this=sql.column(_SEQ, "c")), "newest"))
    return query.from_(sql.temporary("numbered", "c"), copy=False).group_by(key.copy(), copy=False)


def _columns(table: Table, alias: str) -> list[exp.Expression]:
    return sql.columns([c.name for c in table.columns], alias)


def _keys(table: Table) -> Sequence[str]:
    """What tells the rows of one moment apart; without a key all columns but those that may be written later."""
    facts = (c for c in table.columns if not c.hindsight and c.semantic_type is not SemanticType.TIMESTAMP)
    return table.primary_key or [c.name for c in facts]


def _guarded(scope: Scope, pick: _Pick, column: Column) -> exp.Expression:
    """The column, null while it was not known; the target in the example's own row is never known."""
    table, value, at = pick.table, sql.column(column.name, "n"), sql.column(_AS_OF, "n")
    if pick.hop == 0 and (table.name, column.name) in scope.hidden:
        return sql.when(exp.Boolean(this=False), value)
    delay = scope.delayed.get((table.name, column.name))
    if delay is not None:
        return sql.when(exp.LTE(this=known_at(delay, table, "n"), expression=at), value)
    is_time = column.data_type.upper().startswith(("TIMESTAMP", "DATE"))
    if is_time or column.semantic_type == SemanticType.TIMESTAMP:
        return sql.when(exp.LTE(this=time_of(table, column.name, "n"), expression=at), value)
    return value


def _shown_name(column: str) -> str:
    return f"{column}_" if column in RESULT else column


def _ordered(table: Table, paths: Sequence[exp.Select]) -> exp.Select:
    """The rows of all paths to a table; those of one path share hop and link, which need no sorting then."""
    rows = sql.subquery(sql.union_all(paths), "rows")
    told = RESULT if len(paths) > 1 else RESULT[:1]
    names = [*told, *(_shown_name(k) for k in _keys(table))]
    order = [exp.Ordered(this=sql.column(n), nulls_first=False) for n in names]
    return sql.select(exp.Star()).from_(rows, copy=False).order_by(*order, copy=False)
