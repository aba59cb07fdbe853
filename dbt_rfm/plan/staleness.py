"""How far behind its anchor an example sees the database.

In: the anchors of the queries and the moment after which nothing is seen. Out: an SQL expression of each context
example's `as_of`. Queries after that moment have old features; a context with fresh ones only would teach that an empty
last month means that little is to come, where it means that nobody looked. So half of the context lags behind its
anchors as the queries do, each example by one of their lags; the other half is fresh and shows what there is to learn.
Both are drawn by the md5 of entity, anchor and seed: no row of the database moves them. It is used for numbers only:
it lowers their error, and classes were told apart no better. Figures are in docs/LOG.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlglot import exp

from dbt_rfm.plan import sql

#: Lags told apart.
MAX_LAGS = 8
_DIGITS = 4  # of the md5 that are compared


@dataclass(frozen=True)
class Staleness:
    """Equally likely lags of half of the context, the shortest first."""

    lags: tuple[timedelta, ...]
    seed: int

    def as_of(self, anchor: exp.Expression, draw: exp.Expression) -> exp.Expression:
        """`anchor`, or `anchor` minus the lag that `draw`, an md5, falls on."""
        ifs = []
        for i, lag in enumerate(self.lags):
            limit = exp.Literal.string(f"{16**_DIGITS * (i + 1) // (2 * len(self.lags)):0{_DIGITS}x}")
            moment = sql.later(anchor.copy(), -int(lag.total_seconds()), "seconds")
            ifs.append(exp.If(this=exp.LT(this=draw.copy(), expression=limit), true=moment))
        return exp.Case(ifs=ifs, default=anchor)


def staleness_of(anchors: Sequence[datetime], cut: datetime | None, seed: int) -> Staleness | None:
    """What the queries lack if nothing after `cut` is seen, as at most MAX_LAGS quantiles; None: they lack nothing."""
    lags = sorted(max(anchor - cut, timedelta(0)) for anchor in anchors) if cut is not None else []
    if not lags or not lags[-1]:
        return None
    count = min(MAX_LAGS, len(lags))
    return Staleness(tuple(lags[(2 * i + 1) * len(lags) // (2 * count)] for i in range(count)), seed)
