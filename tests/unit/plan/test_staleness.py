from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import duckdb
import pytest

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.examples import drawn_select, examples_select
from dbt_rfm.plan.staleness import MAX_LAGS, Staleness, staleness_of
from dbt_rfm.snapshot import BACKTEST, CONTEXT, QUERY

CUT = datetime(2024, 1, 1)
ANCHOR = datetime(2023, 6, 1)
DAY = timedelta(days=1)


def _as_of(staleness: Staleness | None, entities: int = 4000, splits: tuple[str, ...] = (CONTEXT,)) -> list[datetime]:
    names = Names("t_")
    connection = duckdb.connect()
    connection.execute(
        f'CREATE TABLE "{names.labels}" AS SELECT range AS entity, ?::TIMESTAMP AS anchor_time, 1.0 AS label '
        "FROM range(?)",
        [ANCHOR, entities],
    )
    parts = [(split, drawn_select(names, size=entities, seed=0, conditions=[])) for split in splits]
    select = examples_select(parts, sql.timestamp(CUT), staleness)
    rows = connection.sql(select.sql(dialect="duckdb")).to_arrow_table().to_pylist()
    return [r["as_of"] for r in rows]


@pytest.mark.parametrize("cut", [None, CUT + 30 * DAY])
def test__staleness_of__queries_before_the_cut__lack_nothing(cut: datetime | None) -> None:
    assert staleness_of([CUT, CUT + 30 * DAY], cut, 0) is None


def test__staleness_of__few_queries__each_lag_in_order() -> None:
    anchors = [CUT + 60 * DAY, CUT - 5 * DAY, CUT + 30 * DAY]
    assert staleness_of(anchors, CUT, 7) == Staleness((0 * DAY, 30 * DAY, 60 * DAY), 7)


def test__staleness_of__many_queries__quantiles_of_their_lags() -> None:
    found = staleness_of([CUT + k * DAY for k in range(1, 801)], CUT, 0)
    assert found is not None and [lag / DAY for lag in found.lags] == [51 + 100 * k for k in range(MAX_LAGS)]


def test__context__lags_in_one_half__evenly_and_is_fresh_in_the_other() -> None:
    found = Counter((ANCHOR - moment) / DAY for moment in _as_of(Staleness((30 * DAY, 90 * DAY), 0)))
    assert set(found) == {0, 30, 90}
    assert abs(found[0] - 2000) < 150 and abs(found[30] - 1000) < 120 and abs(found[90] - 1000) < 120


def test__context__drawn_again__same_lags__and_others_with_another_seed() -> None:
    first, again, other = (_as_of(Staleness((30 * DAY,), seed), 100) for seed in (1, 1, 2))
    assert first == again != other


def test__queries__and_backtests__do_not_lag() -> None:
    assert set(_as_of(Staleness((30 * DAY,), 0), 100, (QUERY, BACKTEST))) == {ANCHOR}


def test__context__without_staleness__is_fresh() -> None:
    assert set(_as_of(None, 100)) == {ANCHOR}
