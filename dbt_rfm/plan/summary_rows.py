"""The rows that belong to a summary's keys, in order, with their values: what its sums are made of.

In: a Summary. Out: CTEs: `keyed`; `points`, each (key, anchor_time, as_of) once, since examples share keys and
anchors; `asked`, the keys with their latest `as_of`; `raw`, the rows up to there; `numbered`, the same with `seq`,
which numbers a key's rows by time and primary key. Later rows have higher numbers, so the newest visible row is the
largest `seq`, and distinct values and the most frequent one follow from running counts that later rows cannot change.
Time rule: rows known after the latest `as_of` of their key are left out; what is seen of the others the sums decide.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.paths import from_path, known_time, top_key, valid_until
from dbt_rfm.plan.summary import Summary
from dbt_rfm.plan.values import (
    CATEGORICAL,
    FLAG,
    NUMERICAL,
    Scope,
    Value,
    flags_of,
    parent_values,
    texts_of,
    values_of,
)

_POINT = ("key", "anchor_time", "as_of")


class Rows:
    """The steps, and what they hold: `values` (v0, v1, …), and `until` (until0, …), when a row ceases to be valid."""

    def __init__(self, scope: Scope, summary: Summary) -> None:
        self.scope, self.summary = scope, summary
        self.detail = summary.detail.brief() if scope.brief else summary.detail
        self.time = known_time(scope.graph, summary.path)
        self.until = valid_until(scope.graph, summary.path)
        self.number = self._already_numbered()
        self.values: list[Value] = []
        raw = self._raw()
        self.steps = [
            ("keyed", summary.keyed),
            ("points", self._points()),
            ("asked", _asked()),
            ("raw", raw),
            ("numbered", self._numbered()),
        ]

    def _already_numbered(self) -> exp.Expression | None:
        """The number that rows have already, which is by the table's own time."""
        path, graph = self.summary.path, self.scope.graph
        if path.table.own_time != graph.schema.table(path.table.name).own_time:
            return None
        return graph.number(path.above(0), path.alias(0))

    def _points(self) -> exp.Select:
        query = sql.select(*sql.columns(self.point_columns()))
        query = query.distinct(copy=False).from_(sql.temporary("keyed"), copy=False)
        return query.where(sql.given(sql.column("key")), copy=False)

    def point_columns(self) -> tuple[str, ...]:
        return (*_POINT, "self") if self.summary.exclude_self else _POINT

    def _raw(self) -> exp.Select:
        """The rows of the keys asked for, up to the latest `as_of` of each, with their values v0, v1, …"""
        path, graph = self.summary.path, self.scope.graph
        query = from_path(graph, path, sql.select())
        own = list(self.summary.only) or values_of(self.scope, path.table, path.alias(0))
        others: list[Value] = []
        if self.detail.parents and not self.summary.only:
            skip = path.links[0]
            hops, flags = self.detail.parents, self.detail.flags
            query, others = parent_values(self.scope, path, query, skip=skip, hops=hops, flags=flags)
        if self.detail.flags and not self.summary.only:
            own += flags_of(self.scope, path.table, path.alias(0))
        if self.detail.texts:
            own += texts_of(self.scope, path.table, path.alias(0))
        self.values = own + others
        keys = [sql.aliased(sql.column(k, path.alias(0)), f"pk{i}") for i, k in enumerate(path.table.primary_key)]
        selected = [sql.aliased(top_key(path), "key"), *keys]
        if self.number is not None:
            selected.append(sql.aliased(self.number, "seq"))
        asked: list[exp.Expression] = [exp.EQ(this=top_key(path), expression=sql.column("key", "asked"))]
        if self.time is not None:
            selected.append(sql.aliased(self.time.copy(), "t"))
            asked.append(exp.LTE(this=self.time.copy(), expression=sql.column("until", "asked")))
        selected += [sql.aliased(until, f"until{i}") for i, until in enumerate(self.until)]
        selected += [sql.aliased(value.expression, f"v{i}") for i, value in enumerate(self.values)]
        query.set("expressions", selected)
        return sql.join(query, sql.temporary("asked"), sql.every(asked))

    def _order(self) -> list[exp.Expression]:
        """By time; rows of one moment by their key, or, where they have none, by what is told of them."""
        keys = [f"pk{i}" for i in range(len(self.summary.path.table.primary_key))]
        keys = keys or [f"v{i}" for i, value in enumerate(self.values) if value.kind != FLAG]
        return sql.columns([*(["t"] if self.time is not None else []), *keys]) or [sql.column("key")]

    def _numbered(self) -> exp.Select:
        """Rows with `seq`, and per category its place among equal values of the key (r0, r1, …)."""
        query = sql.select(exp.Star())
        if self.number is None:
            seq = sql.numbered([sql.column("key")], self._order())
            query = query.select(sql.aliased(seq, "seq"), copy=False)
        for i in self.counted():
            place = sql.numbered([sql.column("key"), sql.column(f"v{i}")], self._order())
            query = query.select(sql.aliased(sql.when(sql.given(sql.column(f"v{i}")), place), f"r{i}"), copy=False)
        return query.from_(sql.temporary("raw"), copy=False)

    def numbers(self) -> list[int]:
        return [i for i, value in enumerate(self.values) if value.kind == NUMERICAL]

    def flags(self) -> list[int]:
        return [i for i, value in enumerate(self.values) if value.kind == FLAG]

    def counted(self) -> list[int]:
        """Categories whose distinct count and most frequent value are told."""
        if not self.detail.categories:
            return []
        return [i for i, value in enumerate(self.values) if value.kind == CATEGORICAL and value.detail]


def _asked() -> exp.Select:
    """(key, until): the keys asked for, each with its latest `as_of`."""
    latest = sql.aliased(exp.Max(this=sql.column("as_of")), "until")
    query = sql.select(sql.column("key"), latest).from_(sql.temporary("points"), copy=False)
    return query.group_by(sql.column("key"), copy=False)
