"""What the rows of a key add up to in each window, as of each point: the sums that a summary's features are read from.

In: the Rows of a summary. Out: CTEs, the last one with a row per point: n_0, s1_0, … by part and window.
Time rule: a row is visible if everything on its path was known by `as_of`; a window is (anchor - n, anchor].

How it stays cheap. Sums are made per point, not per example. Where anchors are few, rows are first added up into
`cells` between any two neighbouring window bounds, so that a store's hundred thousand sales meet an anchor as a few
dozen cells. A cell never straddles a bound, so this is exact.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.row_times import still_valid
from dbt_rfm.plan.summary_rows import Rows

SEQ_ROOM = 2**31  # a running count and a row number share one 64-bit integer
_ROUNDING = 1e-12  # of the sum of squares: what a variance below that is made of


class Sums:
    """The steps, and what they hold: the values of the rows (`v0`, `v1`, …) by `windows`."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.summary = rows, rows.summary
        self.windows = rows.detail.windows if rows.time is not None else rows.detail.windows[-1:]
        self.steps = [*rows.steps, ("cells", self._cells()), ("spans", self._spans()), ("stats", self._stats())]
        if self._spreads():
            self.steps.append(("spreads", self._with_variances()))

    # cells

    def _cells(self) -> exp.Select:
        row_by_row = self.rows.until or self.summary.exclude_self or self.summary.strict
        if row_by_row or self.rows.time is None or self.summary.bounds is None:
            return self._row_cells()
        return self._grid_cells(self.summary.bounds)

    def _row_cells(self) -> exp.Select:
        one = exp.Literal.number(1)
        query = sql.select(sql.column("key"), sql.aliased(one, "n"), sql.aliased(sql.column("seq"), "newest"))
        if self.rows.time is not None:
            query = query.select(sql.column("t"), sql.aliased(sql.column("t"), "first"), copy=False)
        passed = [f"until{i}" for i in range(len(self.rows.until))] + (["pk0"] if self.summary.exclude_self else [])
        query = query.select(*sql.columns(passed), copy=False)
        for i in self.rows.numbers():
            value = sql.column(f"v{i}")
            parts = {f"s{i}": value, f"c{i}": sql.when(sql.given(value.copy()), one.copy())}
            if self.spread(i):
                parts |= {f"q{i}": _times(value), f"lo{i}": value, f"hi{i}": value}
            query = query.select(*(sql.aliased(e.copy(), a) for a, e in parts.items()), copy=False)
        query = query.select(*(sql.aliased(sql.column(f"v{i}"), f"s{i}") for i in self.rows.flags()), copy=False)
        for i in self.rows.counted():
            query = query.select(*self._category_parts(i), copy=False)
        query = query.from_(sql.temporary("numbered"), copy=False)
        return self._that_are_seen(query) if self.rows.until else query

    def _that_are_seen(self, query: exp.Select) -> exp.Select:
        """Rows that end before the first bound after their time are valid at no `as_of`, as each is a bound."""
        if self.summary.bounds is None or self.rows.time is None:
            return query
        first = sql.column("hi", "b")
        lasts = [still_valid(sql.column(f"until{i}"), first) for i in range(len(self.rows.until))]
        bounds = sql.temporary(self.summary.bounds, "b")
        return sql.join_windows(query, bounds, sql.column("t"), sql.column("lo", "b"), first.copy(), lasts)

    def _grid_cells(self, named: str) -> exp.Select:
        key, hi = sql.column("key", "r"), sql.column("hi", "b")
        query = sql.select(
            key,
            sql.aliased(exp.Count(this=exp.Star()), "n"),
            sql.aliased(exp.Max(this=sql.column("seq", "r")), "newest"),
            sql.aliased(exp.Max(this=sql.column("t", "r")), "t"),
            sql.aliased(exp.Min(this=sql.column("t", "r")), "first"),
        )
        for i in self.rows.numbers():
            value = sql.column(f"v{i}", "r")
            none = exp.Literal.number(0)  # no value, no count: the sums of a window divide by it
            parts: dict[str, exp.Expression] = {f"s{i}": exp.Sum(this=value)}
            parts |= {f"c{i}": exp.Nullif(this=exp.Count(this=value), expression=none)}
            if self.spread(i):
                parts |= {f"q{i}": exp.Sum(this=_times(value))}
                parts |= {f"lo{i}": exp.Min(this=value), f"hi{i}": exp.Max(this=value)}
            query = query.select(*(sql.aliased(e.copy(), a) for a, e in parts.items()), copy=False)
        flags = (sql.aliased(exp.Sum(this=sql.column(f"v{i}", "r")), f"s{i}") for i in self.rows.flags())
        query = query.select(*flags, copy=False)
        for i in self.rows.counted():
            distinct, frequent = self._category_parts(i)
            query = query.select(
                sql.aliased(exp.Sum(this=distinct.this), distinct.alias),
                sql.aliased(exp.Max(this=frequent.this), frequent.alias),
                copy=False,
            )
        query = query.from_(sql.temporary("numbered", "r"), copy=False)
        bounds = sql.temporary(named, "b")
        sql.join_windows(query, bounds, sql.column("t", "r"), sql.column("lo", "b"), hi)
        return query.group_by(key.copy(), hi.copy(), copy=False)

    def _category_parts(self, i: int) -> list[exp.Alias]:
        """1 at a value's first row, and (running count, seq) in one number: its maximum finds the most frequent."""
        place = sql.column(f"r{i}")
        first = sql.when(exp.EQ(this=place, expression=exp.Literal.number(1)), exp.Literal.number(1))
        big = exp.Cast(this=place.copy(), to=exp.DataType.build("bigint"))
        packed = exp.Add(this=exp.Mul(this=big, expression=exp.Literal.number(SEQ_ROOM)), expression=sql.column("seq"))
        return [sql.aliased(first, f"d{i}"), sql.aliased(packed, f"m{i}")]

    def spread(self, i: int) -> bool:
        return self.rows.detail.spread and self.rows.values[i].detail

    # windows

    def _spans(self) -> exp.Select:
        """The points, with the open start of each window but of all time: since0, since1, …"""
        query = sql.select(*sql.columns(self.rows.point_columns()))
        for w, window in enumerate(self.windows):
            if window.number is not None:
                since = sql.later(sql.column("anchor_time"), -window.number, window.unit)
                query = query.select(sql.aliased(since, f"since{w}"), copy=False)
        return query.from_(sql.temporary("points"), copy=False)

    def _stats(self) -> exp.Select:
        """Each point with what its windows hold: n_0, n_1, …; of the values only what an output tells."""
        by, last = sql.columns(self.rows.point_columns(), "s"), len(self.windows) - 1
        sums, highest, lowest = [("n", w) for w in range(last + 1)], [("newest", last)], []
        for i in self.rows.numbers():
            shown = range(last + 1) if self.rows.values[i].detail else sorted(self.wide())
            sums += [(f"{part}{i}", w) for part in ("s", "c") for w in shown]
            sums += [(f"q{i}", w) for w in self._spread_in(i)]
            if self.spread(i):
                highest += [(f"hi{i}", w) for w in sorted(self.wide())]
                lowest += [(f"lo{i}", w) for w in sorted(self.wide())]
        sums += [(f"s{i}", w) for i in self.rows.flags() for w in self.flagged(i)]
        sums += [(f"d{i}", last) for i in self.rows.counted()]
        highest += [(f"m{i}", last) for i in self.rows.counted()]
        if self.rows.time is not None:
            highest.append(("t", last))
            lowest.append(("first", last))
        query = sql.select(*by)
        for aggregate, parts in ((exp.Sum, sums), (exp.Max, highest), (exp.Min, lowest)):
            query = query.select(*(self._within(aggregate, part, w) for part, w in parts), copy=False)
        query = query.from_(sql.temporary("spans", "s"), copy=False)
        on = [exp.EQ(this=sql.column("key", "c"), expression=sql.column("key", "s")), *self.visible("c", "s")]
        if self._starts(last):
            on.append(_after_start(last))
        sql.join(query, sql.temporary("cells", "c"), sql.every(on))
        return query.group_by(*(c.copy() for c in by), copy=False)

    def _with_variances(self) -> exp.Select:
        """The stats and the variances they make: said once, because a planner reads every word of a feature."""
        query = sql.select(exp.Star()).from_(sql.temporary("stats"), copy=False)
        for i, w in self._spreads():
            total, count, squares = (sql.column(f"{part}{i}_{w}") for part in ("s", "c", "q"))
            query = query.select(sql.aliased(_variance(total, count, squares), f"var{i}_{w}"), copy=False)
            if self.compared(i) and w == len(self.windows) - 1:
                unit = _unit(_variance(total, count, squares), count, squares)
                query = query.select(sql.aliased(unit, f"unit{i}"), copy=False)
        return query

    def _spreads(self) -> list[tuple[int, int]]:
        return [(i, w) for i in self.rows.numbers() for w in self._spread_in(i)]

    def _spread_in(self, i: int) -> list[int]:
        """The windows whose variance is needed."""
        return sorted(self.wide() | ({0} if self.compared(i) else set())) if self.spread(i) else []

    def compared(self, i: int) -> bool:
        """Whether what is new of a number is told against all its rows: in `unit`, their standard deviation."""
        return self.spread(i) and len(self.windows) > 2

    def _within(self, aggregate: type[exp.Expression], part: str, w: int) -> exp.Alias:
        """A part of the cells added up over window w; the last window, the longest, holds every row that is joined."""
        value: exp.Expression = sql.column(part, "c")
        if w < len(self.windows) - 1 and self._starts(w):
            value = sql.when(_after_start(w), value)
        return sql.aliased(aggregate(this=value), f"{part}_{w}")

    def _starts(self, w: int) -> bool:
        return self.rows.time is not None and self.windows[w].number is not None

    def wide(self) -> set[int]:
        """The windows in which a spread is told, and the mean of what is no detail."""
        return {len(self.windows) - 1, 1 if len(self.windows) > 2 else 0}

    def flagged(self, i: int) -> range:
        """The windows in which a flag is counted: of another parent only the longest, where there are many."""
        last = len(self.windows) - 1
        return range(0 if self.rows.values[i].detail or last < 2 else last, last + 1)

    def visible(self, row: str, point: str) -> list[exp.Expression]:
        conditions: list[exp.Expression] = []
        at = sql.column("as_of", point)
        if self.rows.time is not None:
            known = exp.LT if self.summary.strict else exp.LTE
            conditions.append(known(this=sql.column("t", row), expression=at))
        conditions += [still_valid(sql.column(f"until{i}", row), at.copy()) for i in range(len(self.rows.until))]
        if self.summary.exclude_self:
            conditions.append(exp.NEQ(this=sql.column("pk0", row), expression=sql.column("self", point)))
        return conditions


def _after_start(w: int) -> exp.Expression:
    return exp.GT(this=sql.column("t", "c"), expression=sql.column(f"since{w}", "s"))


def _variance(total: exp.Expression, count: exp.Expression, squares: exp.Expression) -> exp.Expression:
    """Of a sample, from its sums."""
    square_of_mean = exp.Div(this=exp.Paren(this=_times(total)), expression=count)
    spread = exp.Paren(this=exp.Sub(this=squares, expression=square_of_mean))
    one_less = exp.Paren(this=exp.Sub(this=count.copy(), expression=exp.Literal.number(1)))
    return exp.Div(this=spread, expression=exp.Nullif(this=one_less, expression=exp.Literal.number(0)))


def _unit(variance: exp.Expression, count: exp.Expression, squares: exp.Expression) -> exp.Expression:
    """The standard deviation; null where the values are the same but for rounding, which no quotient should show."""
    least = exp.Mul(this=exp.Literal.number(_ROUNDING), expression=squares.copy())
    told = exp.GT(this=exp.Mul(this=exp.Paren(this=variance), expression=count.copy()), expression=least)
    return exp.Sqrt(this=sql.when(told, variance.copy()))  # the root of what is told: a negative one is an error


def _times(value: exp.Expression) -> exp.Expression:
    return exp.Mul(this=value, expression=value.copy())
