"""The history an event looks back on: earlier rows of the same customer, the same terminal, the same pair of the two.

In: the scope, the table of events, the session table `own` (a row per example with its keys and numbers). Out: a block
per group and table of rows: counts and means over look-back windows, the largest, the last, how far the event's own
numbers stand from the mean (ratio and deviations), and the known outcomes of the group, which come by a block of their
own. A group is what rows share: a parent, a category, two parents, a parent and a category.
Time rule: rows of the event's own table count if they happened before it (at the same moment the order is unknown), its
own row never; an outcome counts once known: its row's time plus the delay lies at or before the event; if that may be
the row's own time (no delay, or a moment that stands in the row), before it. Its windows count from when it was known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.delays import may_be_at_once
from dbt_rfm.plan.event_flags import COUNTED, flags
from dbt_rfm.plan.event_groups import Group, groups
from dbt_rfm.plan.event_outcome import KNOWN_LATEST, KNOWN_MEAN, Outcome
from dbt_rfm.plan.event_stream import AFTER, History, Stream
from dbt_rfm.plan.lasting import ended, ends_of, lengths
from dbt_rfm.plan.values import NUMERICAL, Scope, Value, values_of
from dbt_rfm.plan.windows import LookBack
from dbt_rfm.pql.delay import Delay
from dbt_rfm.schema.types import Table
from dbt_rfm.snapshot import PAST_LABEL, Feature

_ROUNDING = "1e-12"  # of a sum of squares: far more than adding up loses, far less than differences that tell
_ROUNDING_SQUARED = "1e-24"  # of a sum of squares, for the square of a sum


def history_blocks(
    scope: Scope, names: Names, table: Table, windows: tuple[LookBack, ...], outcome: Outcome | None
) -> Iterator[Block]:
    """One block per group, one more per end of a parent's rows, and one per group of the event's own table for the
    outcomes known by then."""
    for group in groups(scope, table):
        same = group.table.name == table.name
        shown, told = _windows_of(windows, group), _told(scope, group, same=same)
        yield _history_block(scope, names, History(group, shown, told, strict=same or group.through is not None))
        for end in ends_of(scope, group.table) if _is_of_parent(group) and not scope.brief else ():
            yield _history_block(scope, names, _of_ended(scope, group, end, shown, same=same))
        if same and outcome is not None:
            known = replace(group, label=f"{group.label}@{_short(outcome.delay)}")
            strict = may_be_at_once(outcome.delay)
            yield _history_block(
                scope, names, History(known, shown, (outcome.value, *outcome.classes), strict, outcome)
            )


def _short(delay: Delay) -> str:
    """`7d`, `due_at`, `due_at+7d`."""
    span = str(LookBack(delay.span.end, delay.span.unit))
    return "+".join([delay.column, *([span] if delay.span.end else [])]) if delay.column else span


def _of_ended(scope: Scope, group: Group, end: str, shown: tuple[LookBack, ...], *, same: bool) -> History:
    """The rows of a group that have ended, by the moment they did: how long they took."""
    rows = replace(group, label=f"{group.label}.{end}.ended", table=ended(group.table, end))
    return History(rows, shown[-2:], lengths(scope, group.table, end), strict=same, compared=False)


def _windows_of(windows: tuple[LookBack, ...], group: Group) -> tuple[LookBack, ...]:
    """All windows for a parent, two for what lies below its events, all time for finer groups, which have few rows."""
    if group.through is not None:
        return windows[-2:]
    return windows if _is_of_parent(group) else windows[-1:]


def _told(scope: Scope, group: Group, *, same: bool) -> tuple[Value, ...]:
    """Of a parent's rows their numbers, and of its events what else is counted; of others only how many they are.

    A quick answer is not told what else is counted: every flag is one more running sum over all rows.
    """
    if group.through is not None or not _is_of_parent(group):
        return ()
    numbers = [v for v in values_of(scope, group.table, "r0") if v.kind == NUMERICAL]
    return (*numbers, *(flags(scope, group) if same and not scope.brief else ()))


def _is_of_parent(group: Group) -> bool:
    return len(group.columns) == 1 and bool(group.parent)


def _history_block(scope: Scope, names: Names, history: History) -> Block:
    stream = Stream(scope, names, history)
    query, outputs = _Outputs(stream).read()
    made = block(history.group.label, query, sql.column("example_id", "k"), outputs)
    return Block(made.name, sql.with_steps(made.select, stream.steps), made.features)


class _Outputs:
    """Features read from the stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.group, self.windows = stream, stream.group, stream.windows
        self.values, self.outcome = stream.values, stream.outcome

    def read(self) -> tuple[exp.Select, list[Output]]:
        query = sql.select().from_(sql.temporary("keyed", "k"), copy=False)
        self.stream.join(query, "until", self.stream.end(), "e")
        for w, window in enumerate(self.windows):
            if window.number is not None:
                self.stream.join(query, f"b{w}", AFTER, f"b{w}")
        outputs = self._counts()
        for i in self.stream.numbers:
            outputs += self._known_share(i) if self.outcome is not None else self._amounts(i, self.values[i])
        for i in (*self.stream.flags, *self.stream.new):
            outputs += self._shares(i) if self.outcome is not None else self._counted(i, self.values[i])
        if any(value.kind not in COUNTED for value in self.values):
            outputs += self._last(query)
        return query, outputs

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
            (self._feature(f"{value.label}.mean.{window}"), self._usual(i, w)) for w, window in enumerate(self.windows)
        ]
        outputs.append((self._feature(f"{value.label}.max.all"), sql.column(f"hi{i}", "e")))
        outputs.append((self._feature(f"{value.label}.std.all"), self._deviation(i, last)))
        if i < self.stream.compared():
            own = sql.column(f"x{i}", "k")
            for w in range(max(last - 1, 0), last + 1):
                ratio = exp.Div(this=own.copy(), expression=_unless_zero(self._usual(i, w)))
                away = exp.Paren(this=exp.Sub(this=own.copy(), expression=self._mean(i, w)))
                scaled = exp.Div(this=away, expression=_unless_zero(self._deviation(i, w)))
                outputs.append((self._feature(f"{value.label}.ratio.{self.windows[w]}"), ratio))
                outputs.append((self._feature(f"{value.label}.deviations.{self.windows[w]}"), scaled))
        return outputs

    def _counted(self, i: int, value: Value) -> list[Output]:
        """How many rows have the flag in the two shortest windows, and ever."""
        some = sorted({*range(len(self.windows))[:2], len(self.windows) - 1})
        name = f"{value.label}.count"
        return [(self._feature(f"{name}.{self.windows[w]}"), sql.as_double(self._in(f"s{i}", w))) for w in some]

    def _shares(self, i: int) -> list[Output]:
        """The share of a class among the known outcomes, of the longest window and of all time."""
        outputs: list[Output] = []
        for w in range(len(self.windows))[-2:]:
            share = exp.Div(this=self._in(f"s{i}", w), expression=_unless_zero(sql.as_double(self._in("n", w))))
            outputs.append((self._named(f"{self.group.label}.{self.values[i].label}.share.{self.windows[w]}"), share))
        return outputs

    def _mean(self, i: int, w: int) -> exp.Expression:
        return exp.Div(this=self._in(f"s{i}", w), expression=_unless_zero(sql.as_double(self._in(f"c{i}", w))))

    def _usual(self, i: int, w: int) -> exp.Expression:
        """The mean of numbers: 0 where all of the window are, of which a difference of sums leaves its rounding."""
        total, none = self._in(f"s{i}", w), sql.as_double(exp.Literal.number(0))
        if self.windows[w].number is not None:
            whole = exp.Mul(this=sql.column(f"q{i}", "e"), expression=sql.column(f"c{i}", "e"))
            least = exp.Mul(this=exp.Literal.number(_ROUNDING_SQUARED), expression=whole)
            zeros = exp.LTE(this=exp.Mul(this=total, expression=total.copy()), expression=least)
            total = exp.Case(ifs=[exp.If(this=zeros, true=none)], default=total.copy())
        return exp.Div(this=total, expression=_unless_zero(sql.as_double(self._in(f"c{i}", w))))

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
        self.stream.join_newest(query, "e", "l")
        shown = [
            (value.label, value.kind, sql.column(f"v{i}", "l"))
            for i, value in enumerate(self.values)
            if value.kind not in COUNTED
        ]
        if self.outcome is None:
            return [(self._feature(f"{label}.last", kind), value) for label, kind, value in shown]
        name = f"{KNOWN_LATEST}{self.group.parent}" if self.group.parent else f"{self.group.label}.outcome.last"
        return [(self._named(name, kind), value) for _, kind, value in shown]


def _unless_zero(expression: exp.Expression) -> exp.Expression:
    return exp.Nullif(this=expression, expression=exp.Literal.number(0))
