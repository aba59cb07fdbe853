"""An answer in shards is the same answer, whoever answers which shard, and its bundle says that it is a part."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp

from dbt_rfm.answer import auto
from dbt_rfm.collect import snapshots
from dbt_rfm.errors import DataError, ModelError
from dbt_rfm.job import Job, JobTable, JobTarget, JobTest
from dbt_rfm.pipeline import help_with
from dbt_rfm.publish import publish
from dbt_rfm.shards import run_tables
from dbt_rfm.shards.run_tables import RunTables, drop_runs
from dbt_rfm.snapshot import QUERY, read_bundle
from dbt_rfm.warehouse.duckdb import DuckDB

SHARD, CONTEXT = 32, 60
LIST = 12  # items, which one entity's list may have more than a shard
CHURN = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
SPENT = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
TIER = "PREDICT customers.tier FOR EACH customers.customer_id"
NEXT = "PREDICT LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 3 FOR EACH customers.customer_id"
WEEKLY = "PREDICT SUM(orders.amount, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH customers.customer_id"
LATE = "PREDICT orders.late FOR EACH orders.order_id"
TWO_TIERS = "PREDICT customers.tier CLASSIFY TOP 2 FOR EACH customers.customer_id"
BY_PAIR = "PREDICT visits.cost FOR EACH visits.(customer_id, visit_no)"

_TABLES = """
CREATE TABLE customers AS SELECT i::INTEGER AS customer_id, (i * 7919) % 83 AS age,
    CASE WHEN i % 3 = 0 THEN NULL WHEN i % 5 = 0 THEN 'gold' WHEN i % 2 = 0 THEN 'blue' ELSE 'red' END AS tier
FROM range(1, 151) t(i);
CREATE TABLE products AS SELECT i::INTEGER AS product_id, chr((65 + i % 4)::INTEGER) AS shelf FROM range(1, 13) t(i);
CREATE TABLE orders AS
SELECT (i * 1000 + k)::INTEGER AS order_id, i::INTEGER AS customer_id, ((i * k + i) % 12 + 1)::INTEGER AS product_id,
    TIMESTAMP '2024-07-01' - to_days(((i * 37 + k * 29) % 240)::INTEGER) AS ordered_at,
    ((i * 13 + k * 31) % 17 + 1)::DOUBLE AS amount,
    CASE WHEN (i * 37 + k * 29) % 240 < 20 THEN NULL ELSE (i * k) % 3 = 0 END AS late
FROM range(1, 151) t(i), range(0, 20) s(k) WHERE (i * k) % 5 < 3;
CREATE TABLE visits AS SELECT i::INTEGER AS customer_id, k::INTEGER AS visit_no,
    CASE WHEN (i + k) % 2 = 0 THEN (i * k) % 11 END::DOUBLE AS cost
FROM range(1, 151) t(i), range(1, 3) s(k);
"""
_LINKS = {("orders", "customer_id"): "customers", ("orders", "product_id"): "products"}


class Watched(DuckDB):
    """Knows the most rows that were fetched at once of what a plan makes; of the tables themselves samples are read."""

    most = 0

    def query(self, sql: exp.Expression) -> pa.Table:
        found = super().query(sql)
        if any(table.name.startswith("rfm_") for table in sql.find_all(exp.Table)):
            self.most = max(self.most, len(found))
        return found


@pytest.fixture
def database() -> Iterator[Watched]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(_TABLES)
    yield Watched(connection)
    connection.close()


def job(
    query: str, folder: Path, name: str, tables: tuple[str, ...] = ("customers", "products", "orders"), **options: Any
) -> Job:
    keys = {"customers": "customer_id", "products": "product_id", "orders": "order_id"}
    return Job(
        query=query,
        tables=tuple(
            JobTable(
                t,
                f'"main"."{t}"',
                unique_id=f"model.shop.{t}",
                event_time="ordered_at" if t == "orders" else None,
                primary_key=(keys[t],) if t in keys else ("customer_id", "visit_no"),
            )
            for t in tables
        ),
        tests=tuple(
            JobTest(
                "relationships",
                column,
                {"to": f"ref('{parent}')", "field": keys[parent]},
                attached_node=f"model.shop.{child}",
                depends_on=(f"model.shop.{parent}", f"model.shop.{child}"),
            )
            for (child, column), parent in _LINKS.items()
            if child in tables
        ),
        options={"context_size": CONTEXT, "seed": 3, "keep_snapshots": 1, "backtest": False, **options},
        target=JobTarget(None, "main", name),
        target_path=str(folder),
        unique_id=f"model.shop.{name}",
    )


def rows(database: DuckDB, table: str) -> list[tuple]:
    cursor = database._cursor
    names = [n for n, _ in database.describe(table) if n not in ("run_id", "predicted_at", "model_version")]
    listed = ", ".join(f'"{n}"' for n in names)
    return cursor.execute(f"SELECT {listed} FROM {table} ORDER BY ALL").fetchall()


def assert_same(found: list[tuple], expected: list[tuple], within: float = 1e-6) -> None:
    assert len(found) == len(expected) > SHARD
    for one, other in zip(found, expected, strict=True):
        for left, right in zip(one, other, strict=True):
            # The network's own numbers have 24 bits, so that batches of another size differ in the last.
            assert left == pytest.approx(right, rel=within, abs=within) if isinstance(left, float) else left == right


def in_shards(monkeypatch: pytest.MonkeyPatch, size: int = SHARD) -> None:
    monkeypatch.setattr(run_tables, "SHARD", size)


class Board:
    """Shards that two workers share; `lost` is taken away from whoever answers it, once."""

    run = "shared"

    def __init__(self, lost: int = -1) -> None:
        self.free: list[int] = []
        self.lost, self.given = lost, list[int]()

    def open(self, count: int) -> None:
        assert not self.free, "planned twice"
        self.free = list(range(count))

    def claim(self) -> int | None:
        if self.free:
            self.given.append(self.free[0])
        return self.free[0] if self.free else None

    def done(self, shard: int) -> None:
        if shard == self.lost:
            self.lost = -1
            raise DataError("the shard was given to another worker")
        self.free.remove(shard)

    def left(self) -> int:
        return len(self.free)

    def wait(self) -> None:
        raise AssertionError("nobody else has one")


def tables_of_runs(database: DuckDB) -> list[str]:
    found = database._cursor.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'rfm_run_%'")
    return [name for (name,) in found.fetchall()]


@pytest.mark.parametrize(
    ("query", "model"),
    [*((query, "rfm") for query in (CHURN, SPENT, TIER, TWO_TIERS, NEXT, WEEKLY, LATE)), (WEEKLY, "auto")],
)
def test__publish__more_than_a_shard__the_same_rows_as_at_once(
    database: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, model: str
) -> None:
    whole = publish(job(query, tmp_path, "whole", model=model), database)
    in_shards(monkeypatch)
    database.most = 0
    parted = publish(job(query, tmp_path, "parted", model=model), database)
    assert "shards" in parted.message and "shards" not in whole.message
    assert database.most <= CONTEXT + SHARD + LIST
    assert_same(rows(database, "parted"), rows(database, "whole"))
    left = database._cursor.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    assert [name for (name,) in left if name.startswith("rfm_")] == []


def test__publish__texts_in_shards__words_of_the_context_for_every_shard(
    database: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database._cursor.execute("ALTER TABLE customers ADD COLUMN note VARCHAR")
    database._cursor.execute(
        "UPDATE customers SET note = 'customer ' || customer_id || ['asks for gold', 'wants blue shoes'][1 + age % 2]"
    )
    whole = publish(job(TIER, tmp_path / "whole", "whole"), database)
    in_shards(monkeypatch)
    parted = publish(job(TIER, tmp_path / "parted", "parted"), database)
    assert "shards" in parted.message and "shards" not in whole.message
    assert_same(rows(database, "parted"), rows(database, "whole"))
    kept = [read_bundle(next((tmp_path / name / "rfm" / name).iterdir())) for name in ("whole", "parted")]
    assert kept[0].words == kept[1].words and "blue" in kept[0].words["context"]["customers.note"]


KUMO = {"model": "kumo", "model_options": {"pretrained": False}}
TRAINED = {
    "model": "graph_transformer",
    "model_options": {"channels": 16, "layers": 1, "members": 1, "epochs": 2, "batch": 16},
}


def test__publish__reasons_in_shards__of_the_strongest_of_each_shard(
    database: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_shards(monkeypatch)
    outcome = publish(job(CHURN, tmp_path, "told", reasons=2), database)
    shards = int(re.search(r"answered in (\d+) shards", outcome.message)[1])  # type: ignore[index]
    told = database._cursor.execute("SELECT reasons FROM told WHERE reasons IS NOT NULL").fetchall()
    assert len(told) == 2 * shards
    assert all(
        {*reason} == {"about", "feature", "value", "usual", "effect"} for (t,) in told for reason in json.loads(t)
    )


def with_rows_in_shards(monkeypatch: pytest.MonkeyPatch, most: int = CONTEXT + SHARD) -> None:
    """No more than this many examples may have their rows here at once."""
    monkeypatch.setattr(snapshots, "WITH_ROWS", most)
    monkeypatch.setattr(snapshots, "MAX_WITH_ROWS", most)
    monkeypatch.setattr(snapshots, "SHARD_WITH_ROWS", SHARD)


@pytest.mark.parametrize(("query", "model"), [(CHURN, KUMO), (LATE, KUMO), (SPENT, TRAINED), (TIER, TRAINED)])
def test__publish__more_than_may_have_rows_at_once__the_same_answer_in_shards(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, model: dict[str, Any]
) -> None:
    if model is KUMO:
        pytest.importorskip("sdm", reason="the extra kumo is not installed")
    whole = publish(job(query, tmp_path / "whole", "whole", **model), database)
    with_rows_in_shards(monkeypatch)
    parted = publish(job(query, tmp_path / "parted", "parted", **model), database)
    assert "shards" in parted.message and "shards" not in whole.message
    # Random weights make more of the last bit than pretrained ones.
    assert_same(rows(database, "parted"), rows(database, "whole"), within=1e-4)
    (folder,) = (tmp_path / "parted" / "rfm" / "parted").iterdir()
    kept = read_bundle(folder)
    assert set(kept.rows["orders"]["example_id"].to_pylist()) <= set(kept.examples["example_id"].to_pylist())
    assert len(kept.examples) == CONTEXT + SHARD


def test__publish__rows_in_shards__another_worker_goes_on_or_helps_unless_it_would_have_to_train(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(job(CHURN, tmp_path, "whole", **TRAINED), database)
    with_rows_in_shards(monkeypatch)
    board, parted = Board(lost=2), job(CHURN, tmp_path, "parted", **TRAINED)
    with pytest.raises(DataError, match="another worker"):
        publish(parted, database, replace_served=False, board=board)

    assert not help_with(parted, database, board) and board.left() == 3
    publish(parted, database, replace_served=False, board=board)

    assert_same(rows(database, "parted__history"), rows(database, "whole"), within=1e-5)
    assert tables_of_runs(database) == []


@pytest.mark.parametrize(("name", "changes"), [("graph_transformer", TRAINED), ("rfm", {"model": "rfm"})])
def test__publish__auto_in_shards__answers_with_the_rows_if_their_reader_wins(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(auto, "candidates", lambda minutes: {name: changes})
    with_rows_in_shards(monkeypatch, most=200 + SHARD)
    done = publish(job(CHURN, tmp_path, "churn", model="auto", context_size=200), database)
    assert f"auto took {name}" in done.message and "shards" in done.message
    assert len(rows(database, "churn")) == 150


def test__publish__much_to_learn_from_and_little_asked__is_answered_at_once(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "WITH_ROWS", CONTEXT)
    done = publish(job(CHURN, tmp_path, "churn", **TRAINED), database)
    assert done.status == "published" and "shards" not in done.message


def test__publish__rows_of_what_is_learnt_from_alone_are_too_many__says_what_to_make_smaller(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rows_in_shards(monkeypatch, most=CONTEXT + SHARD - 1)
    with pytest.raises(ModelError, match="lower context_size"):
        publish(job(CHURN, tmp_path, "churn", **TRAINED), database)


def test__publish__a_key_of_several_columns__comes_in_its_own_columns(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = ("customers", "visits")
    publish(job(BY_PAIR, tmp_path, "whole", tables), database)
    in_shards(monkeypatch)
    publish(job(BY_PAIR, tmp_path, "parted", tables), database)
    assert [n for n, _ in database.describe("parted")][:2] == ["customer_id", "visit_no"]
    assert_same(rows(database, "parted"), rows(database, "whole"))


def test__publish__in_shards__the_bundle_says_what_it_holds(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_shards(monkeypatch)
    publish(job(CHURN, tmp_path, "churn"), database)
    (folder,) = (tmp_path / "rfm" / "churn").iterdir()
    kept = read_bundle(folder)
    assert kept.examples["split"].to_pylist().count(QUERY) == SHARD
    assert any("holds the first 32 of 150 examples that are asked" in note for note in kept.notes)
    bounds = kept.shards["bounds"]
    assert bounds[-1] - bounds[0] == 150 and len(bounds) == 6


def test__publish__a_worker_stops_half_way__another_one_does_what_is_left(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(job(SPENT, tmp_path, "whole"), database)
    in_shards(monkeypatch)
    board = Board(lost=2)
    with pytest.raises(DataError, match="another worker"):
        publish(job(SPENT, tmp_path, "parted"), database, replace_served=False, board=board)
    assert board.free == [2, 3, 4] and tables_of_runs(database)
    written = database._cursor.execute("SELECT DISTINCT rfm_shard FROM rfm_run_shared__predictions ORDER BY 1")
    assert written.fetchall() == [(0,), (1,)]

    done = publish(job(SPENT, tmp_path, "parted"), database, replace_served=False, board=board)

    assert board.given == [0, 1, 2, 2, 3, 4]
    assert done.status == "ready"
    assert_same(rows(database, "parted__history"), rows(database, "whole"))
    assert tables_of_runs(database) == []


def test__help_with__a_planned_job__answers_shards_that_the_first_worker_publishes(
    database: DuckDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(job(CHURN, tmp_path, "whole"), database)
    in_shards(monkeypatch)
    board = Board(lost=0)
    assert not help_with(job(CHURN, tmp_path, "parted"), database, board)
    with pytest.raises(DataError):
        publish(job(CHURN, tmp_path, "parted"), database, replace_served=False, board=board)

    assert help_with(job(CHURN, tmp_path, "parted"), database, board)

    assert board.left() == 0
    publish(job(CHURN, tmp_path, "parted"), database, replace_served=False, board=board)
    assert_same(rows(database, "parted__history"), rows(database, "whole"))


def test__drop_runs__of_ended_jobs__leaves_those_that_go_on(database: DuckDB) -> None:
    home = JobTarget(None, "main", "churn")
    for run in ("old", "going"):
        tables = RunTables(database, run=run, home=home)
        tables.create("examples", duckdb_select())
    drop_runs(database, home, keep=["going"])
    assert tables_of_runs(database) == ["rfm_run_going__examples"]


def duckdb_select() -> exp.Select:
    return exp.select(exp.Literal.number(1).as_("example_id"))
