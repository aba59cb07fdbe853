"""Earlier rows of an event's group, added up once: what lies in a window is the difference between two places.

In: a History, the session table `own` (a row per example with its keys and numbers). Out: CTEs: `keyed`, an example's
group and the ends of its windows; `numbered`, the rows; `running`, sums from the start at every row and moment.
Time rule: a place counts the rows before it. Rows at the very moment of an event lie before it only where the history
is not strict; an outcome is known its delay after its row, so it is read at the moment less the delay.

How it stays cheap. Events stand at thousands of moments, so rows and moments are put into one stream per group, ordered
by time, and added up once from the start. Later rows cannot change a running sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.event_groups import Group, own_numbers
from dbt_rfm.plan.event_outcome import Outcome
from dbt_rfm.plan.row_times import latest, own_time
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


class Stream:
    """The steps, and how to join an example, aliased k, with a place in it."""

    def __init__(self, scope: Scope, names: Names, history: History) -> None:
        self.scope, self.names = scope, names
        self.group, self.windows, self.values = history.group, history.windows, history.values
        self.strict, self.outcome = history.strict, history.outcome
        self.keys = [f"g{i}" for i in range(len(self.group.columns))]
        self.time = self._time()
        self.numbers = [i for i, value in enumerate(self.values) if value.kind == NUMERICAL]
        self.flags = [i for i, value in enumerate(self.values) if value.kind == FLAG]
        self.steps = [
            ("keyed", self._keyed()),
            ("moments", self._moments()),
            ("numbered", self._numbered()),
            ("stream", self._stream()),
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
        if self.outcome is None or not self.outcome.delay.end:
            return moment
        return sql.later(moment, -self.outcome.delay.end, self.outcome.delay.unit)

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
        """When a row is known: with the event it points at, at the earliest."""
        times = [own_time(self.group.table, "r0")]
        if self.group.through:
            times.append(own_time(self.scope.graph.schema.table(self.group.through.parent), "r1"))
        time = latest([each for each in times if each is not None])
        assert time is not None, f"{self.group.table.name} has no time"
        return time

    def _read(self, query: exp.Select) -> exp.Select:
        graph, through = self.scope.graph, self.group.through
        query = query.from_(graph.read(self.group.table, "r0"), copy=False)
        if through is None:
            return query
        return sql.join(query, graph.read(graph.schema.table(through.parent), "r1"), sql.linked(through, "r0", "r1"))

    def _numbered(self) -> exp.Select:
        """The group's rows up to the latest moment, with values v0, v1, … and their number in time."""
        holder = "r1" if self.group.through else "r0"
        columns = [sql.column(c, holder) for c in self.group.columns]
        order = [self.time.copy(), *sql.columns(self.group.table.primary_key, "r0")]
        query = sql.select(
            *(sql.aliased(c.copy(), g) for c, g in zip(columns, self.keys, strict=True)),
            sql.aliased(self.time.copy(), "t"),
            sql.aliased(sql.numbered([c.copy() for c in columns], order), "seq"),
            *(sql.aliased(value.expression.copy(), f"v{i}") for i, value in enumerate(self.values)),
        )
        query = self._read(query)
        newest = sql.select(exp.Max(this=sql.column("until"))).from_(sql.temporary("keyed"), copy=False)
        asked = sql.select(sql.column(self.keys[0])).from_(sql.temporary("keyed"), copy=False)
        conditions = [
            exp.In(this=columns[0].copy(), query=exp.Subquery(this=asked)),
            *(sql.given(c) for c in columns[1:]),
            exp.LTE(this=self.time.copy(), expression=exp.Subquery(this=newest)),
        ]
        if self.outcome is not None:
            conditions.append(sql.given(self.outcome.value.expression))
        return query.where(*conditions, copy=False)

    def _stream(self) -> exp.Expression:
        """Rows and moments of each group, in one list."""
        places = [f"v{i}" for i in (*self.numbers, *self.flags)]
        row = sql.select(
            *sql.columns((*self.keys, "t")),
            sql.aliased(exp.Literal.number(_ROW), "place"),
            sql.column("seq"),
            sql.aliased(sql.column("t"), "happened"),
            *sql.columns(places),
        ).from_(sql.temporary("numbered"), copy=False)
        nothing = [sql.aliased(sql.none_of("double"), f"v{i}") for i in self.numbers]
        nothing += [sql.aliased(sql.none_of("int"), f"v{i}") for i in self.flags]
        moment = sql.select(
            *sql.columns((*self.keys, "t", "place")),
            sql.aliased(sql.none_of("bigint"), "seq"),
            sql.aliased(sql.none_of("timestamp"), "happened"),
            *nothing,
        ).from_(sql.temporary("moments"), copy=False)
        return sql.union_all([row, moment])

    def _running(self) -> exp.Select:
        """At each place: how many rows lie before it (n), the newest, per value its sum, count, squares, maximum.

        Of a flag the sum alone.
        """
        sums: dict[str, exp.Expression] = {
            "n": exp.Max(this=sql.column("seq")),
            "happened": exp.Max(this=sql.column("happened")),
        }
        for i in self.numbers:
            value = sql.column(f"v{i}")
            squares = exp.Sum(this=exp.Mul(this=value.copy(), expression=value.copy()))
            sums |= {f"s{i}": exp.Sum(this=value), f"c{i}": exp.Count(this=value.copy())}
            sums |= {f"q{i}": squares, f"hi{i}": exp.Max(this=value.copy())}
        sums |= {f"s{i}": exp.Sum(this=sql.column(f"v{i}")) for i in self.flags}
        query = sql.select(*sql.columns((*self.keys, "t", "place")))
        for name, aggregate in sums.items():
            query = query.select(sql.aliased(self._so_far(aggregate), name), copy=False)
        return query.from_(sql.temporary("stream"), copy=False)

    def _so_far(self, aggregate: exp.Expression) -> exp.Window:
        order = [exp.Ordered(this=sql.column(c), nulls_first=False) for c in ("t", "place", "seq")]
        frame = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW", end_side=None)
        return exp.Window(
            this=aggregate,
            partition_by=sql.columns(self.keys),
            order=exp.Order(expressions=order),
            spec=frame,
        )

    # what is read

    def end(self) -> int:
        """The place at `until`."""
        return _BEFORE if self.strict else AFTER

    def compared(self) -> int:
        """How many of the event's own numbers, x0, x1, …, are compared with those of its group."""
        if not self.values or self.outcome is not None or not self.strict:
            return 0
        return len(own_numbers(self.scope, self.group.table, "o"))

    def join(self, query: exp.Select, moment: str, place: int, alias: str) -> None:
        on = [exp.EQ(this=sql.column(g, alias), expression=sql.column(g, "k")) for g in self.keys]
        on.append(exp.EQ(this=sql.column("t", alias), expression=sql.column(moment, "k")))
        on.append(exp.EQ(this=sql.column("place", alias), expression=exp.Literal.number(place)))
        sql.join(query, sql.temporary("running", alias), sql.every(on), side="LEFT")
