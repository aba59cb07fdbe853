"""The history an event looks back on: earlier rows of the same customer, the same terminal, the same pair of the two.

In: the scope, the table of events, the session table `own` (a row per example with its keys and numbers). Out: a block
per group and table of rows: counts and means over look-back windows, the largest, the last, how far the event's own
numbers stand from the mean (ratio and deviations), and the known outcomes of the group, which come by a block of their
own. A group is what rows share: a parent, a category, two parents, a parent and a category.
Time rule: rows of the event's own table count if they happened before it (at the same moment the order is unknown), its
own row never; an outcome counts once known: its row's time plus the delay lies at or before the event, or, without a
delay, its row lies before it.

How it stays cheap. Events stand at thousands of moments, so rows and moments are put into one stream per group, ordered
by time, and added up once from the start; what lies in a window is the difference between two places of that stream.
Later rows cannot change a running sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.event_groups import Group, groups, own_numbers
from dbt_rfm.plan.event_outcome import KNOWN_LATEST, KNOWN_MEAN, Outcome
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.plan.values import NUMERICAL, Scope, Value, values_of
from dbt_rfm.plan.windows import LookBack
from dbt_rfm.schema.types import Table
from dbt_rfm.snapshot import PAST_LABEL, Feature

_BEFORE, _ROW, _AFTER = 0, 1, 2  # a place in the stream at one moment
_ROUNDING = "1e-12"  # of a sum of squares: far more than adding up loses, far less than differences that tell


def history_blocks(
    scope: Scope, names: Names, table: Table, windows: tuple[LookBack, ...], outcome: Outcome | None
) -> Iterator[Block]:
    """One block per group, and one more per group of the event's own table for the outcomes known by then."""
    for group in groups(scope, table):
        same = group.table.name == table.name
        values = tuple(v for v in values_of(scope, group.table, "r0") if v.kind == NUMERICAL)
        single = len(group.columns) == 1 and bool(group.parent)
        shown = _windows_of(windows, single)
        yield _Build(scope, names, group, shown, values if single else (), strict=same).block()
        if same and outcome is not None:
            known = replace(group, label=f"{group.label}@{LookBack(outcome.delay.end, outcome.delay.unit)}")
            strict = not outcome.delay.end
            yield _Build(scope, names, known, shown, (outcome.value,), strict=strict, outcome=outcome).block()


def _windows_of(windows: tuple[LookBack, ...], single: bool) -> tuple[LookBack, ...]:
    """All windows for a parent, all time for finer groups, which have few rows."""
    return windows if single else windows[-1:]


def moment_block(names: Names) -> Block:
    """The hour of the event."""
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    hour = exp.Extract(this=exp.var("HOUR"), expression=sql.column("anchor_time", "e"))
    outputs: list[Output] = [(Feature("anchor.hour", NUMERICAL, "calendar"), sql.as_double(hour))]
    return block("moment", query, sql.column("example_id", "e"), outputs)


class _Build:
    """One block: keyed, moments, rows, the stream, its running sums, and what is read from them."""

    def __init__(
        self,
        scope: Scope,
        names: Names,
        group: Group,
        windows: tuple[LookBack, ...],
        values: tuple[Value, ...],
        *,
        strict: bool,
        outcome: Outcome | None = None,
    ) -> None:
        self.scope, self.names, self.group, self.windows, self.values = scope, names, group, windows, values
        self.strict, self.outcome = strict, outcome
        self.keys = [f"g{i}" for i in range(len(group.columns))]
        time = own_time(group.table, "r0")
        assert time is not None, f"{group.table.name} has no time"
        self.time = time
        self.numbers = [i for i, value in enumerate(values) if value.kind == NUMERICAL]

    def block(self) -> Block:
        steps = [
            ("keyed", self._keyed()),
            ("moments", self._moments()),
            ("numbered", self._numbered()),
            ("stream", self._stream()),
            ("running", self._running()),
        ]
        query, outputs = self._outputs()
        made = block(self.group.label, query, sql.column("example_id", "k"), outputs)
        return Block(made.name, sql.with_steps(made.select, steps), made.features)

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
        if self._compares():
            query = query.select(*(sql.column(f"x{i}", "o") for i in range(len(self._own()))), copy=False)
        return query.from_(sql.temporary(self.names("own"), "o"), copy=False)

    def _late(self, moment: exp.Expression) -> exp.Expression:
        if self.outcome is None or not self.outcome.delay.end:
            return moment
        return sql.later(moment, -self.outcome.delay.end, self.outcome.delay.unit)

    def _moments(self) -> exp.Expression:
        """The places in the stream where its sums are read."""
        starts = [f"b{w}" for w, window in enumerate(self.windows) if window.number is not None]
        places = [("until", self._end()), *((start, _AFTER) for start in starts)]
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

    def _end(self) -> int:
        return _BEFORE if self.strict else _AFTER

    # rows

    def _numbered(self) -> exp.Select:
        """The group's rows up to the latest moment, with values v0, v1, … and their number in time."""
        columns = [sql.column(c, "r0") for c in self.group.columns]
        order = [self.time.copy(), *sql.columns(self.group.table.primary_key, "r0")]
        query = sql.select(
            *(sql.aliased(c.copy(), g) for c, g in zip(columns, self.keys, strict=True)),
            sql.aliased(self.time.copy(), "t"),
            sql.aliased(sql.numbered([c.copy() for c in columns], order), "seq"),
            *(sql.aliased(value.expression.copy(), f"v{i}") for i, value in enumerate(self.values)),
        )
        query = query.from_(self.scope.graph.read(self.group.table, "r0"), copy=False)
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
        places = [f"v{i}" for i in self.numbers]
        row = sql.select(
            *sql.columns((*self.keys, "t")),
            sql.aliased(exp.Literal.number(_ROW), "place"),
            sql.column("seq"),
            sql.aliased(sql.column("t"), "happened"),
            *sql.columns(places),
        ).from_(sql.temporary("numbered"), copy=False)
        nothing = [sql.aliased(sql.none_of("double"), p) for p in places]
        moment = sql.select(
            *sql.columns((*self.keys, "t", "place")),
            sql.aliased(sql.none_of("bigint"), "seq"),
            sql.aliased(sql.none_of("timestamp"), "happened"),
            *nothing,
        ).from_(sql.temporary("moments"), copy=False)
        return sql.union_all([row, moment])

    def _running(self) -> exp.Select:
        """At each place: how many rows lie before it (n), the newest, per value its sum, count, squares, maximum."""
        sums: dict[str, exp.Expression] = {
            "n": exp.Max(this=sql.column("seq")),
            "happened": exp.Max(this=sql.column("happened")),
        }
        for i in self.numbers:
            value = sql.column(f"v{i}")
            squares = exp.Sum(this=exp.Mul(this=value.copy(), expression=value.copy()))
            sums |= {f"s{i}": exp.Sum(this=value), f"c{i}": exp.Count(this=value.copy())}
            sums |= {f"q{i}": squares, f"hi{i}": exp.Max(this=value.copy())}
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

    # outputs

    def _compares(self) -> bool:
        return bool(self.values) and self.outcome is None and self.strict

    def _own(self) -> list[Value]:
        return own_numbers(self.scope, self.group.table, "o")

    def _outputs(self) -> tuple[exp.Select, list[Output]]:
        query = sql.select().from_(sql.temporary("keyed", "k"), copy=False)
        self._join(query, "until", self._end(), "e")
        for w, window in enumerate(self.windows):
            if window.number is not None:
                self._join(query, f"b{w}", _AFTER, f"b{w}")
        outputs = self._counts()
        for i in self.numbers:
            outputs += self._known_share(i) if self.outcome is not None else self._amounts(i, self.values[i])
        if self.values:
            outputs += self._last(query)
        return query, outputs

    def _join(self, query: exp.Select, moment: str, place: int, alias: str) -> None:
        on = [exp.EQ(this=sql.column(g, alias), expression=sql.column(g, "k")) for g in self.keys]
        on.append(exp.EQ(this=sql.column("t", alias), expression=sql.column(moment, "k")))
        on.append(exp.EQ(this=sql.column("place", alias), expression=exp.Literal.number(place)))
        sql.join(query, sql.temporary("running", alias), sql.every(on), side="LEFT")

    def _in(self, part: str, w: int) -> exp.Expression:
        """A sum over window w: until its end less until its start; of nothing it is 0."""
        whole = sql.zero_if_null(sql.column(part, "e"))
        if self.windows[w].number is None:
            return whole
        return exp.Paren(this=exp.Sub(this=whole, expression=sql.zero_if_null(sql.column(part, f"b{w}"))))

    def _feature(self, what: str, kind: str = NUMERICAL) -> Feature:
        return Feature(f"{self.group.label}.{what}", kind, "parent", self.group.table.name)

    def _named(self, name: str, kind: str = NUMERICAL) -> Feature:
        return Feature(name, kind, PAST_LABEL, self.group.table.name)

    def _counts(self) -> list[Output]:
        outputs: list[Output] = [
            (self._feature(f"count.{window}"), sql.as_double(self._in("n", w))) for w, window in enumerate(self.windows)
        ]
        recency = sql.days_between(sql.column("happened", "e"), sql.column("until", "k"))
        return [*outputs, (self._feature("recency"), recency)]

    def _known_share(self, i: int) -> list[Output]:
        """The mean known outcome and its sum, which for a share says on how much it rests."""
        outputs: list[Output] = []
        for w, window in enumerate(self.windows):
            name = f"{self.group.label}.outcome.mean.{window}"
            if window.number is None and self.group.parent:
                name = f"{KNOWN_MEAN}{self.group.parent}"
            outputs.append((self._named(name), self._mean(i, w)))
            outputs.append((self._named(f"{self.group.label}.outcome.sum.{window}"), self._in(f"s{i}", w)))
        return outputs

    def _amounts(self, i: int, value: Value) -> list[Output]:
        last = len(self.windows) - 1
        outputs: list[Output] = [
            (self._feature(f"{value.label}.mean.{window}"), self._mean(i, w)) for w, window in enumerate(self.windows)
        ]
        outputs.append((self._feature(f"{value.label}.max.all"), sql.column(f"hi{i}", "e")))
        outputs.append((self._feature(f"{value.label}.std.all"), self._deviation(i, last)))
        if self._compares() and i < len(self._own()):
            own = sql.column(f"x{i}", "k")
            for w in range(max(last - 1, 0), last + 1):
                ratio = exp.Div(this=own.copy(), expression=_unless_zero(self._mean(i, w)))
                away = exp.Paren(this=exp.Sub(this=own.copy(), expression=self._mean(i, w)))
                scaled = exp.Div(this=away, expression=_unless_zero(self._deviation(i, w)))
                outputs.append((self._feature(f"{value.label}.ratio.{self.windows[w]}"), ratio))
                outputs.append((self._feature(f"{value.label}.deviations.{self.windows[w]}"), scaled))
        return outputs

    def _mean(self, i: int, w: int) -> exp.Expression:
        return exp.Div(this=self._in(f"s{i}", w), expression=_unless_zero(sql.as_double(self._in(f"c{i}", w))))

    def _deviation(self, i: int, w: int) -> exp.Expression:
        """Standard deviation from the sums; what rounding leaves of no variance is 0."""
        count, mean = sql.as_double(self._in(f"c{i}", w)), self._mean(i, w)
        squares = exp.Div(this=self._in(f"q{i}", w), expression=_unless_zero(count))
        variance = exp.Sub(this=squares, expression=exp.Mul(this=mean, expression=mean.copy()))
        # Of the whole sum: the window's is a difference, and keeps its rounding.
        least = exp.Mul(this=exp.Literal.number(_ROUNDING), expression=sql.column(f"q{i}", "e"))
        rounded = exp.LTE(this=exp.Mul(this=exp.Paren(this=variance), expression=count.copy()), expression=least)
        none = sql.as_double(exp.Literal.number(0))
        return exp.Sqrt(this=exp.Case(ifs=[exp.If(this=rounded, true=none)], default=variance.copy()))

    def _last(self, query: exp.Select) -> list[Output]:
        """The values of the newest row."""
        on = [exp.EQ(this=sql.column(g, "l"), expression=sql.column(g, "k")) for g in self.keys]
        on.append(exp.EQ(this=sql.column("seq", "l"), expression=sql.column("n", "e")))
        sql.join(query, sql.temporary("numbered", "l"), sql.every(on), side="LEFT")
        shown = [(value.label, value.kind, sql.column(f"v{i}", "l")) for i, value in enumerate(self.values)]
        if self.outcome is None:
            return [(self._feature(f"{label}.last", kind), value) for label, kind, value in shown]
        name = f"{KNOWN_LATEST}{self.group.parent}" if self.group.parent else f"{self.group.label}.outcome.last"
        return [(self._named(name, kind), value) for _, kind, value in shown]


def _unless_zero(expression: exp.Expression) -> exp.Expression:
    return exp.Nullif(this=expression, expression=exp.Literal.number(0))
