"""Every kind of task on another warehouse: the same examples, features, neighbours and predictions as on DuckDB.

Where an answer differed, it would be the SQL: the draws are hashes of keys and moments, and the model has a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
import shop_world
from shop_world import QUESTIONS, assert_alike
from sqlglot import exp

from dbt_rfm.answer.answered import Answer
from dbt_rfm.collect import recommendation, snapshots
from dbt_rfm.job import Job, JobTable, JobTarget
from dbt_rfm.pipeline import answer, understand
from dbt_rfm.plan import part, sql
from dbt_rfm.publish import publish
from dbt_rfm.schema.from_job import schema_from_job
from dbt_rfm.schema.validate import validate
from dbt_rfm.shards import run_tables
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.warehouse.relations import matching, named, names_beginning
from dbt_rfm.worker.shard_board import ShardBoard

FEATURES, PREDICTIONS = 1e-9, 1e-6  # relative


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> DuckDB:
    return shop_world.in_duckdb(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def expected(world) -> Callable[[str], Answer]:
    """What DuckDB answers, once per question."""
    known: dict[str, Answer] = {}

    def get(name: str) -> Answer:
        if name not in known:
            asked = shop_world.job(QUESTIONS[name], lambda table: f'"memory"."main"."{table}"')
            known[name] = answer(asked, world, with_rows=True)
        return known[name]

    return get


@pytest.fixture(scope="module")
def other(request, world) -> Warehouse:
    """The shop in another warehouse."""
    warehouse = request.getfixturevalue(f"{request.param}_of_module")
    shop_world.copied(world, warehouse)
    return warehouse


OTHERS = pytest.mark.parametrize(
    "other",
    ["snowflake", "postgres", pytest.param("snowflake_live", marks=pytest.mark.snowflake_live)],
    indirect=True,
)


@OTHERS
@pytest.mark.parametrize("name", QUESTIONS)
def test__answer__other_warehouse__same_as_duckdb(name, other, expected):
    ours, theirs = expected(name), answer(shop_world.job(QUESTIONS[name], str), other, with_rows=True)
    assert len(ours.snapshot.examples) > 50 and len(ours.predictions) > 0
    assert theirs.notes == ours.notes
    assert theirs.snapshot.features_meta == ours.snapshot.features_meta
    assert theirs.snapshot.label_shares == ours.snapshot.label_shares
    assert theirs.snapshot.words == ours.snapshot.words
    assert bool(ours.snapshot.words.get("context")) == ("texts" in name)
    assert any("visit_at.after" in feature.name for feature in ours.snapshot.features_meta) == ("planned" in name)
    assert_same(theirs.snapshot.examples, ours.snapshot.examples, FEATURES)
    assert_same(theirs.snapshot.features, ours.snapshot.features, FEATURES)
    assert theirs.snapshot.rows.keys() == ours.snapshot.rows.keys()
    for table, rows in ours.snapshot.rows.items():
        assert_same(theirs.snapshot.rows[table], rows, FEATURES)
    assert_same(theirs.predictions, ours.predictions, PREDICTIONS)


@OTHERS
def test__quick_list__of_a_part_of_very_many_rows__same_as_duckdb(other, world, monkeypatch):
    monkeypatch.setattr(part, "QUICK_ROWS", 400)
    monkeypatch.setattr(part, "LEAST_ENTITIES", 20)
    read = []
    part_select = recommendation.part_select
    monkeypatch.setattr(recommendation, "part_select", lambda *a, **k: read.append(part_select(*a, **k)) or read[-1])
    keys = world.query(exp.select("customer_id").from_("customers").order_by("customer_id").limit(3))
    named, asked = keys.column(0).to_pylist(), QUESTIONS["ranking"]
    ours, theirs = (
        answer(shop_world.job(asked, relation), warehouse, entity_ids=named, quick=True)
        for warehouse, relation in ((world, lambda table: f'"memory"."main"."{table}"'), (other, str))
    )
    assert len(read) == 2 and all(read), "not everybody's rows were read"
    assert len(ours.predictions) > 0
    assert_same(theirs.snapshot.examples, ours.snapshot.examples, FEATURES)
    assert_same(theirs.snapshot.features, ours.snapshot.features, FEATURES)
    assert_same(theirs.predictions, ours.predictions, PREDICTIONS)


@OTHERS
def test__validate__other_warehouse__same_findings(other, world):
    found = []
    for warehouse, relation in ((world, lambda table: f'"memory"."main"."{table}"'), (other, str)):
        known = understand(shop_world.job(QUESTIONS["binary"], relation), warehouse)
        found.append([str(finding) for finding in validate(known.schema, warehouse, entity="customers")])
    assert found[0] == found[1] and found[0]


@OTHERS
def test__schema__what_the_data_say_of_columns_and_times__same_as_duckdb(other, world):
    """Totals and grades are of hindsight; items happen with their order, which comes after their product."""
    began, days = datetime(2025, 1, 1, tzinfo=UTC), [*range(200)]
    owners, amounts = [i % 30 for i in days], [i * 7 % 50 + 0.5 for i in days]
    columns = {
        "orders": {
            "order_id": days,
            "customer_id": owners,
            "amount": amounts,
            "ordered_at": [began + timedelta(days=i) for i in days],
            "status": ["placed" if i > 185 else ("done", "returned")[i % 2] for i in days],
            "is_paid": [i < 190 for i in days],
            "kind": [("web", "app", "it's \\ odd")[i % 3] for i in days],
        },
        "customers": {
            "customer_id": [*range(30)],
            "number_of_orders": [owners.count(c) for c in range(30)],
            "lifetime_value": [sum(a for a, o in zip(amounts, owners, strict=True) if o == c) for c in range(30)],
            "orders_50d": [owners[150:].count(c) for c in range(30)],
        },
        "accounts": {"account_id": [*range(60)], "is_active": [a % 2 == 0 for a in range(60)]},
        "logins": {
            "login_id": days,
            "account_id": [(i * 2 + (i < 100)) % 60 for i in days],
            "at": [began + timedelta(days=i) for i in days],
        },
        "products": {"product_id": [*range(9)], "launched_on": [date(2024, 1, 1)] * 9},
        "items": {"item_id": days, "order_id": days, "product_id": [i % 9 for i in days]},
    }
    tables = tuple(JobTable(alias=name, relation=f'"said_{name}"', unique_id=name) for name in columns)
    found = []
    for warehouse in (world, other):
        for name, rows in columns.items():
            warehouse.load_temporary(f"said_{name}", pa.table(rows))
        found.append(schema_from_job(Job(query="", tables=tables, tests=()), warehouse))
    ours, theirs = found
    assert theirs.notes == ours.notes
    of_hindsight = {
        "customers": ["number_of_orders", "lifetime_value", "orders_50d"],
        "accounts": ["is_active"],
        "orders": ["status", "is_paid"],
    }
    for schema in found:
        for name, columns_of in of_hindsight.items():
            assert [c.name for c in schema.table(name).columns if c.hindsight] == columns_of
        assert schema.table("orders").column("kind").values == ("app", "web", "it's \\ odd")
    assert ours.table("items").time_link == theirs.table("items").time_link == "order_id"


KUMO = {"model": "kumo", "model_options": {"pretrained": False}, "context_size": 80, "backtest": False}


@OTHERS
@pytest.mark.parametrize("options", [{}, KUMO], ids=["features", "rows"])
def test__publish__in_shards__every_row_once(other, options, monkeypatch, tmp_path):
    if options:
        pytest.importorskip("sdm", reason="the extra kumo is not installed")
    schema = other.query(exp.select(exp.CurrentSchema().as_("s"))).column(0)[0].as_py()
    home = JobTarget(None, schema.lower(), "asked")
    asked = shop_world.job(QUESTIONS["regression"], str, seed=1, **options)
    asked = replace(asked, target=home, target_path=str(tmp_path))

    with monkeypatch.context() as few:
        few.setattr(run_tables, "SHARD", 16)
        few.setattr(snapshots, "WITH_ROWS", 80 + 16)
        outcome = publish(asked, other, replace_served=False, board=ShardBoard(other, home, "a job"))

    assert outcome.status == "ready" and "shards" in outcome.message
    rows = sql.select(exp.Star()).from_(named(home.named("asked__history")))
    rows = rows.where(matching(model_version=outcome.version))
    written = other.query(rows.order_by(sql.column("customer_id")))
    at_once = answer(asked, other).predictions.sort_by("customer_id")
    assert len(at_once) > 3 * 16
    both = (written.select(at_once.column_names), at_once)
    assert_alike(*([tuple(row.values()) for row in table.to_pylist()] for table in both))
    assert names_beginning(other, home, "rfm_run_") == []


def assert_same(got: pa.Table, wanted: pa.Table, tolerance: float) -> None:
    assert got.column_names == wanted.column_names and len(got) == len(wanted)
    for name in wanted.column_names:
        pairs = zip(got.column(name).to_pylist(), wanted.column(name).to_pylist(), strict=True)
        apart = [(i, a, b) for i, (a, b) in enumerate(pairs) if not _same(a, b, tolerance)]
        assert not apart, f"{name}: {len(apart)} of {len(got)} differ, the first (row, got, wanted): {apart[:3]}"


def _same(a: object, b: object, tolerance: float) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
    return a == b
