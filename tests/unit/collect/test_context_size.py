"""A context holds more of a rare event, where nobody says how many."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import duckdb
import pytest
import sqlglot

from dbt_rfm.collect.choice import Choice
from dbt_rfm.collect.context_size import RARE, with_sizes
from dbt_rfm.model import rare_context
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.examples import known_by
from dbt_rfm.snapshot import BACKTEST_CONTEXT, CONTEXT
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.warehouse.session import Session

BEGAN, LATER = datetime(2024, 1, 1), datetime(2030, 1, 1)
USUAL = Options().context


def chosen(rows: int, label: str, *, kind: TaskKind = TaskKind.BINARY, until: datetime = LATER, **options) -> Choice:
    """Of labels one a minute; the context knows all of them, that of the backtest what was known by `until`."""
    labels = (
        f"select i::int as entity, timestamp '{BEGAN}' + to_minutes(i::int) as anchor_time, "
        f"timestamp '{BEGAN}' + to_minutes(i::int) as known_at, {label} as label from range({rows}) t(i)"
    )
    context, backtest = known_by(sql.timestamp(LATER)), known_by(sql.timestamp(until))
    choice = Choice(context=[context], query=[], backtest=[backtest.copy()], backtest_context=[backtest])
    with duckdb.connect() as connection, Session(DuckDB(connection)) as session:
        session.create(session.names.labels, sqlglot.parse_one(labels, dialect="duckdb"))
        return with_sizes(session, kind, Options(**options), choice)


def sizes(*args, **kwargs) -> Mapping[str, int]:
    return chosen(*args, **kwargs).sizes


def both(size: int) -> Mapping[str, int]:
    return {CONTEXT: size, BACKTEST_CONTEXT: size}


@pytest.mark.parametrize("label", ["i % 80 = 0", "i % 80 <> 0"])
def test__rare_class__whichever_it_is__grows_until_there_are_enough(label):
    assert sizes(40_000, label) == both(RARE * 80)


def test__rare_class__few_labels__all_are_read():
    assert sizes(12_000, "i % 200 = 0") == both(12_000)


def test__rare_class__very_rare__no_more_than_the_model_reads():
    assert sizes(80_000, "i % 2000 = 0") == both(rare_context("rfm"))


@pytest.mark.parametrize("label", ["i % 10 = 0", "false", "null::boolean"])
def test__classes__frequent_or_alone_or_unknown__usual(label):
    assert sizes(30_000, label) == both(USUAL)


def test__backtest__rarer_then__has_a_size_of_its_own():
    """What came after its moment has no part in it."""
    until = datetime(2024, 1, 21, 20)  # 30,000 minutes
    found = sizes(60_000, "i % 50 = 0 and i > 15_000", until=until)
    assert found[CONTEXT] == RARE * 60_000 // 899
    assert found[BACKTEST_CONTEXT] == 30_001
    assert sizes(90_000, "i % 50 = 0 and i > 15_000", until=until)[BACKTEST_CONTEXT] == 30_001


def test__size__grown__said_with_the_option_that_takes_fewer():
    (note,) = chosen(40_000, "i % 80 = 0").notes
    assert note.startswith("32,000 examples are read, not 10,000, since the rarer answer is that of 1.2%")
    assert "context_size" in note


@pytest.mark.parametrize(
    "asked",
    [
        {"context_size": 10_000},
        {"model": "graph_transformer"},
        {"model": "auto"},
    ],
)
def test__size__given_or_of_another_model__stays(asked):
    choice = chosen(40_000, "i % 80 = 0", **asked)
    assert choice.sizes == both(USUAL)
    assert not choice.notes


def test__number__rare_as_it_may_be__usual():
    assert sizes(40_000, "(i % 80 = 0)::double", kind=TaskKind.REGRESSION) == both(USUAL)
