"""Every kind of task on another warehouse: the same examples, features, neighbours and predictions as on DuckDB.

Where an answer differed, it would be the SQL: the draws are hashes of keys and moments, and the model has a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pyarrow as pa
import pytest
import shop_world
from shop_world import QUESTIONS

from dbt_rfm.pipeline import Answer, answer, understand
from dbt_rfm.schema.validate import validate
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.duckdb import DuckDB

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


OTHERS = pytest.mark.parametrize("other", ["snowflake", "postgres"], indirect=True)


@OTHERS
@pytest.mark.parametrize("name", QUESTIONS)
def test__answer__other_warehouse__same_as_duckdb(name, other, expected):
    ours, theirs = expected(name), answer(shop_world.job(QUESTIONS[name], str), other, with_rows=True)
    assert len(ours.snapshot.examples) > 50 and len(ours.predictions) > 0
    assert theirs.notes == ours.notes
    assert theirs.snapshot.features_meta == ours.snapshot.features_meta
    assert theirs.snapshot.label_shares == ours.snapshot.label_shares
    assert_same(theirs.snapshot.examples, ours.snapshot.examples, FEATURES)
    assert_same(theirs.snapshot.features, ours.snapshot.features, FEATURES)
    assert theirs.snapshot.rows.keys() == ours.snapshot.rows.keys()
    for table, rows in ours.snapshot.rows.items():
        assert_same(theirs.snapshot.rows[table], rows, FEATURES)
    assert_same(theirs.predictions, ours.predictions, PREDICTIONS)


@OTHERS
def test__validate__other_warehouse__same_findings(other, world):
    found = []
    for warehouse, relation in ((world, lambda table: f'"memory"."main"."{table}"'), (other, str)):
        known = understand(shop_world.job(QUESTIONS["binary"], relation), warehouse)
        found.append([str(finding) for finding in validate(known.schema, warehouse, entity="customers")])
    assert found[0] == found[1] and found[0]


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
