"""The graph transformer from the tables of a warehouse to predictions: what happens after the anchor moves nothing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from dbt_rfm.cli import main
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.model import load_model
from dbt_rfm.model.step import run_step
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.snapshot import Snapshot, write_bundle
from dbt_rfm.warehouse.duckdb import DuckDB

SCHEMA = RelationalSchema(
    (
        Table(
            "customers",
            "customers",
            (
                Column("customer_id", "INTEGER", SemanticType.ID),
                Column("segment", "VARCHAR", SemanticType.CATEGORICAL),
                Column("left_at", "TIMESTAMP", SemanticType.TIMESTAMP),
            ),
            ("customer_id",),
        ),
        Table(
            "orders",
            "orders",
            (
                Column("order_id", "INTEGER", SemanticType.ID),
                Column("customer_id", "INTEGER", SemanticType.ID),
                Column("ordered_at", "TIMESTAMP", SemanticType.TIMESTAMP),
                Column("amount", "DOUBLE", SemanticType.NUMERICAL),
            ),
            ("order_id",),
            "ordered_at",
        ),
    ),
    (Link("orders", "customer_id", "customers", "customer_id"),),
)
CHURN = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
TABLES = """
    create table customers as
        select i::int as customer_id, ['even', 'odd'][1 + i % 2] as segment,
            timestamp '2024-08-01' + to_days(i::int) as left_at
        from range(1, 31) t(i);
    create table orders as
        select row_number() over (order by i, k)::int as order_id, i::int as customer_id,
            timestamp '2024-09-01' - to_days((3 * i * k)::int) as ordered_at, (i + k)::double as amount
        from range(1, 31) t(i), range(0, 200) s(k) where 3 * i * k < 300
"""
LATER = """
    update orders set amount = -1000 where ordered_at > timestamp '2024-07-01';
    delete from orders where ordered_at > timestamp '2024-08-15';
    insert into orders select 100000 + i, 1 + i % 30, timestamp '2024-07-02' + to_days(i::int), 7 from range(90) t(i);
    update customers set left_at = timestamp '2030-01-01' where left_at > timestamp '2024-07-01'
"""


SMALL = {"channels": 16, "layers": 1, "members": 1, "epochs": 3, "batch": 16, "features": True}
OPTIONS = Options(model="graph_transformer", model_options=SMALL, anchor="2024-07-01", context_size=80, backtest=False)


def collected(*, later: bool = False) -> Snapshot:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(TABLES)
        if later:
            connection.execute(LATER)
        return collect(bind(parse(CHURN), SCHEMA), SCHEMA, DuckDB(connection), OPTIONS)


def predicted(*, later: bool) -> tuple[np.ndarray, str, bool]:
    snapshot = collected(later=later)
    found = run_step(snapshot, load_model("graph_transformer", "cpu", SMALL), seed=0)
    assert found.query is not None and found.query.probabilities is not None
    return found.query.probabilities, found.provenance.checkpoint_sha, bool(snapshot.rows)


def test__predictions__rows_after_the_anchor_changed__stay_the_same_to_the_byte() -> None:
    (before, sha, with_rows), (after, sha_after, _) = predicted(later=False), predicted(later=True)
    assert with_rows and len(before) == 30 and before[:, 1].std() > 0
    np.testing.assert_array_equal(before, after)
    assert sha == sha_after and len(sha) == 64


def test__step_command__a_bundle__is_trained_and_answered_by_the_first_process_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, out = tmp_path / "bundle", tmp_path / "predictions.parquet"
    write_bundle(collected(), bundle)
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as left:
        main(["step", str(bundle), str(out)])
    assert left.value.code == 0 and not out.exists()
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit) as left:
        main(["step", str(bundle), str(out)])
    assert left.value.code == 0
    np.testing.assert_array_equal(pq.read_table(out)["probability"], predicted(later=False)[0][:, 1])
