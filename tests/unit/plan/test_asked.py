"""Rows of the entities asked about, read once into session tables: what is said of the examples stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_databases import (
    AMOUNT,
    ORDERS_PATH,
    START,
    Database,
    databases,
    moments,
    same_until,
    shop_schema,
    warehouse_of,
)
from sqlglot import exp

from dbt_rfm.collect import snapshots
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.asked import are_few, asked_rows
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import labels_select
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, Task
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

SCHEMA = shop_schema()
CUSTOMERS, ORDERS = SCHEMA.table("customers"), SCHEMA.table("orders")
OPTIONS = Options(context_size=50, backtest=False, neighbors=(2, 2))
FAR = START + timedelta(days=60)
#: Of a customer's orders, and of an order's amount: an entity with children and grandchildren, and one with kin.
SPENDING = Task(
    "",
    TaskKind.REGRESSION,
    BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id")),
    BoundAggregation("SUM", ORDERS, ORDERS.column("amount"), ORDERS_PATH, Window(0, 5)),
    Window(0, 5),
)
slow = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
asked_about = st.lists(st.tuples(st.integers(1, 4), moments), min_size=1, max_size=4, unique=True)


@contextmanager
def few(answer: bool) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "are_few", lambda asked, entities: answer)
        yield


def snapshot_of(shop: Database, task: Task, asked: list[tuple[int, datetime]], *, stored: bool) -> Snapshot:
    """Of the entities asked about; what is learnt from is one that nobody knows, long before."""
    rows = [*((*each, "query") for each in asked), (999, START - timedelta(days=90), "context")]
    entity, anchor, split = zip(*rows, strict=True)
    at = pa.array(anchor, pa.timestamp("us"))
    labels = {"entity": pa.array(entity, pa.int32()), "anchor_time": at, "known_at": at, "split": split}
    table = pa.table({**labels, "label": pa.array([1.0] * len(rows))})
    with few(stored):
        warehouse, late = warehouse_of(shop), Delay(Window(0, 3)) if task is AMOUNT else None
        return snapshots.collect_labelled(task, SCHEMA, warehouse, OPTIONS, labels=table, late=late, with_rows=True)


def same(first: Snapshot, second: Snapshot) -> None:
    assert first.examples.equals(second.examples)
    assert first.features_meta == second.features_meta
    for name in first.features.column_names:
        assert first.features[name].equals(second.features[name]), name
    assert first.rows.keys() == second.rows.keys()
    for name, rows in first.rows.items():
        assert rows.equals(second.rows[name]), name


@slow
@given(databases(), asked_about, st.sampled_from([SPENDING, AMOUNT]))
def test__features_and_neighbours__from_session_tables__are_those_from_the_whole_tables(
    shop: Database, asked: list[tuple[int, datetime]], task: Task
) -> None:
    same(snapshot_of(shop, task, asked, stored=True), snapshot_of(shop, task, asked, stored=False))


@slow
@given(st.data(), databases(), moments, st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))
def test__features_and_neighbours__from_session_tables_and_later_rows_changed__stay_the_same(
    data: st.DataObject, shop: Database, cut: datetime, entities: list[int]
) -> None:
    later, asked = data.draw(same_until(shop, cut)), [(entity, cut) for entity in entities]
    same(snapshot_of(shop, SPENDING, asked, stored=True), snapshot_of(later, SPENDING, asked, stored=True))


@slow
@given(databases(), moments, st.lists(st.integers(1, 5), min_size=1, max_size=2, unique=True))
def test__labels__from_session_tables__are_those_of_the_entities_asked_about(
    shop: Database, anchor: datetime, entities: list[int]
) -> None:
    warehouse, names, graph = warehouse_of(shop), Names("t"), Graph(SCHEMA, "duckdb")
    warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array([anchor], pa.timestamp("us"))}))
    warehouse.load_temporary("chosen", pa.table({"entity": pa.array(entities, pa.int32())}))
    keys = sql.select(sql.column("entity")).from_(sql.temporary("chosen"), copy=False)
    of_chosen, steps = asked_rows(graph, names, (CUSTOMERS, "customer_id"), keys, with_rows=True)
    for step in steps:
        warehouse.create_temporary(step.table, step.select)
    found = warehouse.query(labels_select(SPENDING, of_chosen, "anchors")).to_pylist()
    everybody = warehouse.query(labels_select(SPENDING, graph, "anchors")).to_pylist()
    wanted = [row for row in everybody if row["entity"] in entities]
    assert sorted(found, key=str) == sorted(wanted, key=str)


# Two links from one table to the entity, and one of the entity to itself: rows that belong to it in one sense only.

_ID, _NUMBER, _TIME = SemanticType.ID, SemanticType.NUMERICAL, SemanticType.TIMESTAMP
TEAMS = Table("teams", "teams", tuple(Column(c, "INTEGER", _ID) for c in ("team_id", "parent_id")), ("team_id",))
MATCHES = Table(
    "matches",
    "matches",
    (
        *(Column(c, "INTEGER", _ID) for c in ("match_id", "home_id", "away_id")),
        Column("played_at", "TIMESTAMP", _TIME),
        Column("goals", "INTEGER", _NUMBER),
    ),
    ("match_id",),
    "played_at",
)
LEAGUE = RelationalSchema(
    (TEAMS, MATCHES),
    (
        Link("matches", "home_id", "teams", "team_id"),
        Link("matches", "away_id", "teams", "team_id"),
        Link("teams", "parent_id", "teams", "team_id"),
    ),
)


class Watched(DuckDB):
    """Counts the statements that read the table of matches itself, and how often rows of a key are numbered."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        super().__init__(cursor)
        self.passes = self.numbered = 0

    def _text(self, sql: exp.Expression) -> str:
        text = super()._text(sql)
        self.passes += '"matches"' in text or " matches " in text
        self.numbered += text.count("ROW_NUMBER() OVER (PARTITION BY")
        return text


def league(teams: int) -> Watched:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        f"CREATE TABLE teams AS SELECT i::INTEGER AS team_id, ((i * 37 + 11) % {teams})::INTEGER AS parent_id "
        f"FROM range({teams}) t(i)"
    )
    connection.execute(
        f"CREATE TABLE matches AS SELECT i::INTEGER AS match_id, (i * 7 % {teams})::INTEGER AS home_id, "
        f"(i * 11 % {teams})::INTEGER AS away_id, TIMESTAMP '2024-01-01' + to_hours(i::INTEGER) AS played_at, "
        "(i % 4)::INTEGER AS goals FROM range(1500) t(i)"
    )
    return Watched(connection)


def of_the_league(warehouse: Watched, *, options: Options = OPTIONS) -> Snapshot:
    query = "PREDICT COUNT(matches.* VIA matches.home_id, 0, 7, days) FOR EACH teams.team_id"
    task = replace(bind(parse(query), LEAGUE), entity_ids=(3,))
    return snapshots.collect(task, LEAGUE, warehouse, options)


def test__features_and_neighbours__of_an_entity_with_two_links_and_one_to_itself__are_the_same() -> None:
    with few(True):
        stored = of_the_league(league(300))
    with few(False):
        same(stored, of_the_league(league(300)))
    assert {"<matches(home_id)", "<matches(away_id)"} <= set(stored.rows["matches"]["link"].to_pylist())


def test__plan__few_entities_asked_about__passes_over_their_rows_less_often() -> None:
    few_of_many, most = league(20 * OPTIONS.context_size), league(2 * OPTIONS.context_size)
    of_the_league(few_of_many)
    of_the_league(most)
    assert few_of_many.passes < most.passes


def test__plan__few_entities_asked_about__numbers_the_rows_of_a_link_once_for_features_and_neighbours() -> None:
    few_of_many, most = league(20 * OPTIONS.context_size), league(2 * OPTIONS.context_size)
    of_the_league(few_of_many)
    of_the_league(most)
    assert few_of_many.numbered == most.numbered - len(LEAGUE.links)  # each once instead of twice


def test__session_tables__of_versions_of_an_event__are_not_numbered_by_one_of_their_two_times() -> None:
    columns = (*MATCHES.columns, Column("since", "TIMESTAMP", _TIME), Column("until", "TIMESTAMP", _TIME))
    versions = replace(MATCHES, columns=columns, valid_from="since", valid_to="until")
    graph = Graph(replace(LEAGUE, tables=(TEAMS, versions)), "duckdb")
    keys = sql.select(sql.column("entity")).from_(sql.temporary("chosen"), copy=False)
    stored, _ = asked_rows(graph, Names("t"), (TEAMS, "team_id"), keys, with_rows=True)
    assert {links[0].child for links in stored.asked if links} == {"teams", "matches"}
    assert {links[0].child for links in stored.numbers} == {"teams"}


def test__few__is_a_small_share_of_all_entities() -> None:
    assert are_few(1000, 200_000)
    assert not are_few(1000, 1500)
