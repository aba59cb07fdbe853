"""Earlier rows of an event's group, added up once: what lies in a window is the difference between two places.

In: a History, the session table `own` (a row per example with its keys and numbers). Out: CTEs: `keyed`, an example's
group and the ends of its windows; `placed`, rows and moments with their numbers in time; `running`, sums from the start
at every moment.
Time rule: a place counts the rows before it. Rows at the very moment of an event lie before it only where the history
is not strict; an outcome that is known so long after its row is read at the moment less the delay, one that is known by
a moment of its row has its place there.

How it stays cheap. Events stand at thousands of moments, so rows and moments are put into one stream per group, ordered
by time. The rows between two moments are a piece: they are added up in no order, and only pieces, of which there are no
more than moments, from the start. Rows are those of groups that an example has, up to its latest moment. Later rows
cannot change a running sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.delays import known_at
from dbt_rfm.plan.event_flags import NEW
from dbt_rfm.plan.event_groups import Group, own_numbers
from dbt_rfm.plan.event_outcome import Outcome
from dbt_rfm.plan.row_times import latest, times_of
from dbt_rfm.plan.values import FLAG, NUMERICAL, Scope, Value
from dbt_rfm.plan.windows import LookBack

_BEFORE, _ROW, AFTER = 0, 1, 2  # a place in the stream at one moment


@dataclass(frozen=True)
class History:
    """One block in the making: of which rows, how far back, and what of them."""

    group: Group
    windows: tuple[LookBack, ...]  # shortest first
    values: tuple[Value, ...]
    strict: bool  # rows at the very moment of the event do not count
    outcome: Outcome | None = None  # the only value, if known outcomes are told
    compared: bool = True  # the event's own numbers with the values


class Stream:
    """The steps, and how to join an example, aliased k, with a place in it."""

    def __init__(self, scope: Scope, names: Names, history: History) -> None:
        self.scope, self.names = scope, names
        self.group, self.windows, self.values = history.group, history.windows, history.values
        self.strict, self.outcome, self.history = history.strict, history.outcome, history
        self.keys = [f"g{i}" for i in range(len(self.group.columns))]
        self.order = [f"p{i}" for i in range(len(self.group.table.primary_key))]  # of rows at one moment
        self.time = self._time()
        self.numbers = [i for i, value in enumerate(self.values) if value.kind == NUMERICAL]
        self.flags = [i for i, value in enumerate(self.values) if value.kind == FLAG]
        self.new = [i for i, value in enumerate(self.values) if value.kind == NEW]
        self.steps = [
            ("keyed", self._keyed()),
            ("moments", self._moments()),
            ("asked", self._asked()),
            ("stream", self._stream()),
            ("placed", self._placed()),
            ("pieces", self._pieces()),
            *((f"firsts{i}", self._firsts(i)) for i in self.new),
            ("running", self._running()),
        ]

    # moments

    def _keyed(self) -> exp.Select:
        """Each example with its group, the end of its windows and their starts b0, b1, … (none for all time)."""
        keys = [sql.aliased(sql.column(own, "o"), g) for own, g in zip(self.group.keys, self.keys, strict=True)]
        as_of, anchor = sql.column("as_of", "o"), sql.column("anchor_time", "o")
        query = sql.select(sql.column("example_id", "o"), *keys, sql.aliased(self._late(as_of), "until"))
        for w, window in enumerate(self.windows):
            if window.number is not None:
                since = exp.Least(this=sql.later(anchor, -window.number, window.unit), expressions=[as_of.copy()])
                query = query.select(sql.aliased(self._late(since), f"b{w}"), copy=False)
        query = query.select(*(sql.column(f"x{i}", "o") for i in range(self.compared())), copy=False)
        return query.from_(sql.temporary(self.names("own"), "o"), copy=False)

    def _late(self, moment: exp.Expression) -> exp.Expression:
        delay = self.outcome.delay if self.outcome is not None else None
        if delay is None or delay.column:
            return moment
        return sql.later(moment, -delay.span.end, delay.span.unit)

    def _moments(self) -> exp.Expression:
        """The places in the stream where its sums are read."""
        starts = [f"b{w}" for w, window in enumerate(self.windows) if window.number is not None]
        places = [("until", self.end()), *((start, AFTER) for start in starts)]
        queries = [
            sql.select(
                *sql.columns(self.keys),
                sql.aliased(sql.column(moment), "t"),
                sql.aliased(exp.Literal.number(place), "place"),
            ).from_(sql.temporary("keyed"), copy=False)
            for moment, place in places
        ]
        for query in queries:
            query.where(*(sql.given(sql.column(k)) for k in self.keys), copy=False)
        whole = sql.subquery(sql.union_all(queries), "m")
        return sql.select(*sql.columns((*self.keys, "t", "place"))).distinct(copy=False).from_(whole, copy=False)

    # rows

    def _time(self) -> exp.Expression:
        """When a row is known: with the event it points at, one that ended with its beginning, at the earliest; the
        outcome of a row by a moment that stands in it."""
        if self.outcome is not None and self.outcome.delay.column:
            return known_at(self.outcome.delay, self.group.table, "r0")
        times = times_of(self.group.table, "r0")
        if self.group.through:
            times += times_of(self.scope.graph.schema.table(self.group.through.parent), "r1")
        time = latest(times)
        assert time is not None, f"{self.group.table.name} has no time"
        return time

    def _read(self, query: exp.Select) -> exp.Select:
        graph, through = self.scope.graph, self.group.through
        query = query.from_(graph.read(self.group.table, "r0"), copy=False)
        if through is None:
            return query
        return sql.join(query, graph.read(graph.schema.table(through.parent), "r1"), sql.linked(through, "r0", "r1"))

    def _asked(self) -> exp.Select:
        """The groups of the examples, each with its latest moment."""
        query = sql.select(*sql.columns(self.keys), sql.aliased(exp.Max(this=sql.column("until")), "latest"))
        query = query.from_(sql.temporary("keyed"), copy=False)
        return query.group_by(*sql.columns(self.keys), copy=False)

    def _rows(self) -> exp.Select:
        """The rows of these groups up to then, with the columns that order them, p0 …, and values v0, v1, …"""
        holder = "r1" if self.group.through else "r0"
        columns = [sql.column(c, holder) for c in self.group.columns]
        query = sql.select(
            *(sql.aliased(c, g) for c, g in zip(columns, self.keys, strict=True)),
            sql.aliased(self.time.copy(), "t"),
            sql.aliased(exp.Literal.number(_ROW), "place"),
            *(
                sql.aliased(sql.column(c, "r0"), p)
                for c, p in zip(self.group.table.primary_key, self.order, strict=True)
            ),
            *(sql.aliased(value.expression.copy(), f"v{i}") for i, value in enumerate(self.values)),
        )
        query = self._read(query)
        same = [exp.EQ(this=c.copy(), expression=sql.column(g, "a")) for c, g in zip(columns, self.keys, strict=True)]
        by_then = exp.LTE(this=self.time.copy(), expression=sql.column("latest", "a"))
        sql.join(query, sql.temporary("asked", "a"), sql.every([*same, by_then]))
        if self.outcome is not None:
            query.where(sql.given(self.outcome.value.expression), copy=False)
        return query

    def _stream(self) -> exp.Expression:
        """Rows and moments of each group, in one list."""
        absent = [*self.order, *(f"v{i}" for i in range(len(self.values)))]
        moment = sql.select(
            *sql.columns((*self.keys, "t", "place")), *(sql.aliased(exp.Null(), name) for name in absent)
        ).from_(sql.temporary("moments"), copy=False)
        return sql.union_all([self._rows(), moment])

    def _placed(self) -> exp.Select:
        """The stream with the number of rows up to each place (seq) and of moments before it (piece)."""
        told = [f"v{i}" for i in self.numbers]  # of a table without a key
        by = ["t", "place", *(self.order or told)]
        places = self._so_far(exp.RowNumber(), by, "s")
        moments = self._so_far(exp.Count(this=sql.when(_is_moment(), exp.Literal.number(1))), by, "s")
        everything = exp.Column(this=exp.Star(), table=sql.name("s"))
        counted = sql.select(everything, sql.aliased(places, "places"), sql.aliased(moments, "moments"))
        counted = counted.from_(sql.temporary("stream", "s"), copy=False)
        rows = exp.Sub(this=sql.column("places", "s"), expression=sql.column("moments", "s"))
        earlier = exp.Sub(this=sql.column("moments", "s"), expression=exp.Literal.number(1))
        before = exp.Case(ifs=[exp.If(this=_is_moment(), true=earlier)], default=sql.column("moments", "s"))
        query = sql.select(everything.copy(), sql.aliased(rows, "seq"), sql.aliased(before, "piece"))
        return query.from_(sql.subquery(counted, "s"), copy=False)

    def _pieces(self) -> exp.Select:
        """The rows up to each moment after the one before: per value their sum, count, squares, maximum.

        Of a flag the sum alone. The rows after the last moment are a piece without one, which nothing reads.
        """
        sums: dict[str, exp.Expression] = {
            "t": exp.Max(this=sql.when(_is_moment(), sql.column("t", "s"))),
            "place": exp.Max(this=sql.when(_is_moment(), sql.column("place", "s"))),
            "n": exp.Max(this=sql.column("seq", "s")),
            "happened": exp.Max(this=sql.when(_is_row(), sql.column("t", "s"))),
        }
        for i in self.numbers:
            value = sql.column(f"v{i}", "s")
            squares = exp.Sum(this=exp.Mul(this=value.copy(), expression=value.copy()))
            sums |= {f"s{i}": exp.Sum(this=value), f"c{i}": exp.Count(this=value.copy())}
            sums |= {f"q{i}": squares, f"hi{i}": exp.Max(this=value.copy())}
        sums |= {f"s{i}": exp.Sum(this=sql.column(f"v{i}", "s")) for i in self.flags}
        by = sql.columns((*self.keys, "piece"), "s")
        query = sql.select(*by, *(sql.aliased(aggregate, name) for name, aggregate in sums.items()))
        query = query.from_(sql.temporary("placed", "s"), copy=False)
        return query.group_by(*(each.copy() for each in by), copy=False)

    def _firsts(self, i: int) -> exp.Select:
        """How many values of v{i} each piece has that no piece before it has."""
        value = sql.column(f"v{i}", "s")
        keys = sql.columns(self.keys, "s")
        found = sql.select(*keys, sql.aliased(exp.Min(this=sql.column("piece", "s")), "piece"))
        found = found.from_(sql.temporary("placed", "s"), copy=False).where(sql.given(value), copy=False)
        found = found.group_by(*(k.copy() for k in keys), value.copy(), copy=False)
        by = sql.columns((*self.keys, "piece"), "f")
        query = sql.select(*by, sql.aliased(exp.Count(this=exp.Star()), f"s{i}"))
        query = query.from_(sql.subquery(found, "f"), copy=False)
        return query.group_by(*(each.copy() for each in by), copy=False)

    def _running(self) -> exp.Select:
        """At each moment: how many rows lie before it (n), the newest, and what all of them add up to."""
        largest = ["happened", *(f"hi{i}" for i in self.numbers)]
        added = [f"{what}{i}" for i in self.numbers for what in "scq"] + [f"s{i}" for i in self.flags]
        sums: dict[str, exp.Expression] = {name: exp.Max(this=sql.column(name, "p")) for name in largest}
        sums |= {name: exp.Sum(this=sql.column(name, "p")) for name in added}
        sums |= {f"s{i}": exp.Sum(this=sql.column(f"s{i}", f"f{i}")) for i in self.new}
        query = sql.select(*sql.columns((*self.keys, "t", "place", "n"), "p"))
        for name, aggregate in sums.items():
            query = query.select(sql.aliased(self._so_far(aggregate, ["piece"], "p"), name), copy=False)
        query = query.from_(sql.temporary("pieces", "p"), copy=False)
        for i in self.new:
            same = [exp.EQ(this=sql.column(c, f"f{i}"), expression=sql.column(c, "p")) for c in (*self.keys, "piece")]
            sql.join(query, sql.temporary(f"firsts{i}", f"f{i}"), sql.every(same), side="LEFT")
        return query

    def _so_far(self, function: exp.Expression, by: Sequence[str], alias: str) -> exp.Window:
        order = [exp.Ordered(this=sql.column(c, alias), nulls_first=False) for c in by]
        frame = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW", end_side=None)
        return exp.Window(
            this=function,
            partition_by=sql.columns(self.keys, alias),
            order=exp.Order(expressions=order),
            spec=None if isinstance(function, exp.RowNumber) else frame,
        )

    # what is read

    def end(self) -> int:
        """The place at `until`."""
        return _BEFORE if self.strict else AFTER

    def compared(self) -> int:
        """How many of the event's own numbers, x0, x1, …, are compared with those of its group."""
        if not self.values or self.outcome is not None or not self.strict or not self.history.compared:
            return 0
        return len(own_numbers(self.scope, self.group.table, "o"))

    def join(self, query: exp.Select, moment: str, place: int, alias: str) -> None:
        on = [exp.EQ(this=sql.column(g, alias), expression=sql.column(g, "k")) for g in self.keys]
        on.append(exp.EQ(this=sql.column("t", alias), expression=sql.column(moment, "k")))
        on.append(exp.EQ(this=sql.column("place", alias), expression=exp.Literal.number(place)))
        sql.join(query, sql.temporary("running", alias), sql.every(on), side="LEFT")

    def join_newest(self, query: exp.Select, place: str, alias: str) -> None:
        """The newest row before the place."""
        same = [exp.EQ(this=sql.column(g, alias), expression=sql.column(g, "k")) for g in self.keys]
        newest = exp.EQ(this=sql.column("seq", alias), expression=sql.column("n", place))
        sql.join(query, sql.temporary("placed", alias), sql.every([*same, newest, _is_row(alias)]), side="LEFT")


def _is_row(alias: str = "s") -> exp.Expression:
    return exp.EQ(this=sql.column("place", alias), expression=exp.Literal.number(_ROW))


def _is_moment() -> exp.Expression:
    return exp.NEQ(this=sql.column("place", "s"), expression=exp.Literal.number(_ROW))
