"""Summaries of the rows that belong to a key, as of each example: the heart of the features.

In: `keyed`, a SELECT of (example_id, key, anchor_time, as_of), and a path of links from the rows up to that key.
Out: one block: counts, sums, means, spread, distinct counts over look-back windows; how far the newest numbers lie from
what is usual for the key; the newest rows and the most frequent category; recency, tenure and gaps. Time rule: a row is
visible if everything on its path was known by `as_of`; a window is (anchor - n, anchor].
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Output, block
from dbt_rfm.plan.summary import Summary
from dbt_rfm.plan.summary_rows import Rows
from dbt_rfm.plan.summary_sums import SEQ_ROOM, Sums
from dbt_rfm.plan.values import CATEGORICAL, FLAG, NUMERICAL, Scope
from dbt_rfm.snapshot import Feature


def summary_block(scope: Scope, summary: Summary) -> Block:
    sums = Sums(Rows(scope, summary))
    query, outputs = _Outputs(sums).read()
    made = block(summary.name, query, sql.column("example_id", "k"), outputs)
    steps = [*sums.steps, ("recent", _recent(sums))] if sums.rows.detail.newest > 1 else sums.steps
    return Block(made.name, sql.with_steps(made.select, steps), made.features)


class _Outputs:
    """Features read from the sums."""

    def __init__(self, sums: Sums) -> None:
        self.sums, self.rows, self.summary, self.windows = sums, sums.rows, sums.rows.summary, sums.windows
        self.detail, self.values = sums.rows.detail, sums.rows.values

    def read(self) -> tuple[exp.Select, list[Output]]:
        query = sql.select().from_(sql.temporary("keyed", "k"), copy=False)
        on = [_same(c, "k", "s") for c in self.rows.point_columns()]
        sql.join(query, sql.temporary(self.sums.steps[-1][0], "s"), sql.every(on), side="LEFT")
        outputs = self._counts() + self._flags() + self._amounts() + self._against_usual()
        for k in range(self.detail.newest):
            outputs += self._newest(query, k)
        for i in self.rows.counted():
            outputs += self._category(query, i)
        return query, outputs

    def _told(self, part: str, w: int = -1) -> exp.Expression:
        """What the sums have of a window; of the last one if none is named."""
        return sql.column(f"{part}_{w % len(self.windows)}", "s")

    def _feature(self, what: str, kind: str = NUMERICAL) -> Feature:
        return Feature(f"{self.summary.name}.{what}", kind, self.summary.source, self.summary.path.table.name)

    def _counts(self) -> list[Output]:
        anchor = sql.column("anchor_time", "k")
        outputs = [
            (self._feature(f"count.{window}"), _count(self._told("n", w))) for w, window in enumerate(self.windows)
        ]
        if self.rows.time is None:
            return outputs
        recency = sql.days_between(self._told("t"), anchor)
        outputs.append((self._feature("recency"), recency))
        if self.windows[-1].number is None and self.detail.sums:
            tenure = sql.days_between(self._told("first"), anchor.copy())
            outputs.append((self._feature("tenure"), tenure))
            one_day = exp.Add(this=tenure.copy(), expression=exp.Literal.number("1.0"))
            rate = exp.Div(this=sql.as_double(self._told("n")), expression=exp.Paren(this=one_day))
            outputs.append((self._feature("per_day"), rate))
        return outputs

    def _flags(self) -> list[Output]:
        return [
            (self._feature(f"{self.values[i].label}.count.{self.windows[w]}"), _count(self._told(f"s{i}", w)))
            for i in self.rows.flags()
            for w in self.sums.flagged(i)
        ]

    def _amounts(self) -> list[Output]:
        outputs: list[Output] = []
        wide = self.sums.wide()
        for i in self.rows.numbers():
            value = self.values[i]
            for w, window in enumerate(self.windows):
                if not value.detail and w not in wide:
                    continue
                part: dict[str, exp.Expression] = {p: self._told(f"{p}{i}", w) for p in ("s", "c", "lo", "hi", "var")}
                mean = exp.Div(this=part["s"], expression=part["c"])
                outputs.append((self._feature(f"{value.label}.mean.{window}"), mean))
                if self.detail.sums and value.detail:
                    outputs.append((self._feature(f"{value.label}.sum.{window}"), part["s"].copy()))
                if self.sums.spread(i) and w in wide:
                    outputs.append((self._feature(f"{value.label}.min.{window}"), part["lo"]))
                    outputs.append((self._feature(f"{value.label}.max.{window}"), part["hi"]))
                    outputs.append((self._feature(f"{value.label}.std.{window}"), _std(part["var"])))
        return outputs

    def _against_usual(self) -> list[Output]:
        """The means of the two shortest windows and the newest value, in standard deviations from the mean of all rows;
        and how much the values of the shortest window spread beside all of them.

        Columns are chosen one by one, and a machine's temperature says little before it is held against that machine's.
        """
        outputs: list[Output] = []
        for i in filter(self.sums.compared, self.rows.numbers()):
            label, unit = self.values[i].label, self._unit(i)
            for w in (0, 1):
                away = self._away(i, self._mean(i, w))
                outputs.append((self._feature(f"{label}.deviations.{self.windows[w]}"), away))
            if self.detail.newest:
                away = self._away(i, sql.column(f"v{i}", "n0"))
                outputs.append((self._feature(f"{label}.last.deviations"), away))
            share = exp.Div(this=_std(self._told(f"var{i}", 0)), expression=unit)
            outputs.append((self._feature(f"{label}.spread.{self.windows[0]}"), share))
        return outputs

    def _away(self, i: int, value: exp.Expression) -> exp.Expression:
        apart = exp.Sub(this=value, expression=self._mean(i, -1))
        return exp.Div(this=exp.Paren(this=apart), expression=self._unit(i))

    def _mean(self, i: int, w: int) -> exp.Expression:
        return exp.Paren(this=exp.Div(this=self._told(f"s{i}", w), expression=self._told(f"c{i}", w)))

    def _unit(self, i: int) -> exp.Expression:
        return sql.column(f"unit{i}", "s")

    def _newest(self, query: exp.Select, k: int) -> list[Output]:
        """The values of the k-th newest row, and the gap to it."""
        alias, seq = f"n{k}", self._told("newest")
        place = seq if k == 0 else exp.Sub(this=seq, expression=exp.Literal.number(k))
        on = [_same("key", alias, "k"), exp.EQ(this=sql.column("seq", alias), expression=place)]
        on += self.sums.visible(alias, "k")
        rows = "recent" if self.detail.newest > 1 else "numbered"
        sql.join(query, sql.temporary(rows, alias), sql.every(on), side="LEFT")
        suffix = "last" if k == 0 else f"last{k + 1}"
        outputs: list[Output] = [
            (self._feature(f"{value.label}.{suffix}", value.kind), sql.column(f"v{i}", alias))
            for i, value in enumerate(self.values)
            if value.kind != FLAG and (k == 0 or (value.detail and value.kind == NUMERICAL))
        ]
        if k and self.rows.time is not None:
            gap = sql.days_between(sql.column("t", alias), sql.column("t", f"n{k - 1}"))
            outputs.append((self._feature(f"gap{k}"), gap))
        return outputs

    def _category(self, query: exp.Select, i: int) -> list[Output]:
        alias, label = f"m{i}", self.values[i].label
        seq = exp.Mod(this=self._told(f"m{i}"), expression=exp.Literal.number(SEQ_ROOM))
        on = [_same("key", alias, "k"), exp.EQ(this=sql.column("seq", alias), expression=seq)]
        sql.join(query, sql.temporary("numbered", alias), sql.every(on), side="LEFT")
        return [
            (self._feature(f"{label}.distinct"), sql.as_double(self._told(f"d{i}"))),
            (self._feature(f"{label}.most_frequent", CATEGORICAL), sql.column(f"v{i}", alias)),
        ]


def _recent(sums: Sums) -> exp.Select:
    """The rows that are among the newest of some point: few, so that each of the newest is not sought among all."""
    newest, seq = sql.column(f"newest_{len(sums.windows) - 1}", "s"), sql.column("seq", "r")
    oldest = exp.Sub(this=newest, expression=exp.Literal.number(sums.rows.detail.newest))
    among = [_same("key", "s", "r"), exp.LTE(this=seq, expression=newest.copy())]
    among.append(exp.GT(this=seq.copy(), expression=oldest))
    points = sql.select(exp.Literal.number(1)).from_(sql.temporary(sums.steps[-1][0], "s"), copy=False)
    shown = exp.Exists(this=points.where(*among, copy=False))
    everything = exp.Column(this=exp.Star(), table=sql.name("r"))
    return sql.select(everything).from_(sql.temporary("numbered", "r"), copy=False).where(shown, copy=False)


def _count(rows: exp.Expression) -> exp.Expression:
    return sql.as_double(sql.zero_if_null(rows))


def _std(variance: exp.Expression) -> exp.Expression:
    """Rounding may leave a tiny negative, which is 0."""
    negative = exp.LT(this=variance, expression=exp.Literal.number(0))
    positive = exp.Case(ifs=[exp.If(this=negative, true=exp.Literal.number("0.0"))], default=variance.copy())
    return exp.Sqrt(this=positive)


def _same(column: str, left: str, right: str) -> exp.Expression:
    return exp.EQ(this=sql.column(column, left), expression=sql.column(column, right))
