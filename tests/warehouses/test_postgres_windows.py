"""Windows joined on a real Postgres, which finds the place of a row: the same pairs as by comparing each with each."""

from __future__ import annotations

from typing import Any

import pytest
from sqlglot import exp, parse_one

from dbt_rfm.plan import sql
from dbt_rfm.warehouse.postgres import Postgres

_ENDS = ("2024-01-31 12:00:00", "2024-02-29 12:00:00", "2024-03-31 12:00:00", "2024-04-30 12:00:00")
_ROWS = """
create table happened as
select row_number() over () as id, t from (
    select end_ + tick * interval '1 microsecond' as t
    from unnest(array['{ends}']::timestamp[]) as end_, generate_series(-1, 1) as tick
    union all select * from unnest(array[null, '-infinity', 'infinity', '0044-03-15 BC', '2024-02-10']::timestamp[])
) as rows
"""
_ANCHORS = "create table anchors as select at from unnest(array[{anchors}]::timestamp[]) as at"


@pytest.fixture
def happened(postgres: Postgres) -> Postgres:
    postgres.execute(parse_one(_ROWS.format(ends="', '".join(_ENDS)), dialect="postgres"))
    return postgres


def anchors(warehouse: Postgres, *given: str) -> None:
    listed = ", ".join(f"'{end}'" if end else "null" for end in given)
    warehouse.execute(parse_one(_ANCHORS.format(anchors=listed), dialect="postgres"))


def pairs(warehouse: Postgres, since: exp.Expression, until: exp.Expression, *, by_place: bool) -> list[dict[str, Any]]:
    id_, moment, at = sql.column("id", "r"), sql.column("t", "r"), sql.column("at", "a")
    query = sql.select(id_, at).from_(sql.temporary("happened", "r"))
    odd = exp.EQ(this=exp.Mod(this=id_.copy(), expression=exp.Literal.number(7)), expression=exp.Literal.number(3))
    also = [exp.Not(this=odd)]
    if by_place:
        sql.join_windows(query, sql.temporary("anchors", "a"), moment, since, until, also)
    else:
        inside = [exp.GT(this=moment, expression=since), exp.LTE(this=moment.copy(), expression=until)]
        sql.join(query, sql.temporary("anchors", "a"), sql.every([*inside, *also]))
    return sorted(warehouse.query(query).to_pylist(), key=str)


@pytest.mark.parametrize(
    ("start", "end", "unit"),
    [(0, 1, "months"), (-3, 0, "months"), (-1, 2, "months"), (-29, 31, "days"), (0, 90, "minutes"), (2, 1, "days")],
)
def test__join_windows__moments_at_the_ends_and_beside_them__pairs_of_a_comparison(
    happened: Postgres, start: int, end: int, unit: str
) -> None:
    anchors(happened, *_ENDS, _ENDS[0], "")
    at = sql.column("at", "a")
    bounds = (sql.later(at, start, unit), sql.later(at.copy(), end, unit))
    found = pairs(happened, *bounds, by_place=True)
    assert found == pairs(happened, *bounds, by_place=False)
    assert bool(found) == (start < end)


def test__join_windows__no_window__no_pair(happened: Postgres) -> None:
    anchors(happened)
    at = sql.column("at", "a")
    assert pairs(happened, sql.later(at, -1, "days"), at.copy(), by_place=True) == []
