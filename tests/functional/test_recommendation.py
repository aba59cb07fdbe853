"""A recommendation under dbt: built, served as a table, repeated from its bundle, asked from the command line."""

from __future__ import annotations

from contextlib import chdir

import pyarrow.parquet as pq
import pytest
from dbt_projects import Project
from shop_project import predict

from dbt_rfm.cli import main

pytestmark = pytest.mark.functional

STORES = (
    "PREDICT LIST_DISTINCT(orders.store_id, 0, 30, days) RANK TOP 2 FOR EACH customers.customer_id "
    "WHERE COUNT(orders.*, -60, 0, days) > 0"
)


def run_cli(project: Project, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    with chdir(project.path), pytest.raises(SystemExit) as left:
        main(list(arguments))
    shown = capsys.readouterr()
    return int(left.value.code or 0), shown.out + shown.err


class TestRecommendation:
    def test__build__recommendation__two_stores_per_customer(self, shop: Project) -> None:
        shop.write("models/next_stores.sql", predict(STORES))

        built = shop.dbt("build", "--select", "next_stores")

        assert built.success, built.log
        described = shop.rows("select column_name, column_type from (describe next_stores)")
        assert described[:5] == [
            ("customer_id", "BIGINT"),
            ("anchor_time", "TIMESTAMP"),
            ("store_id", "INTEGER"),
            ("score", "DOUBLE"),
            ("rank", "INTEGER"),
        ]
        assert [name for name, _ in described[5:]] == ["model_version", "run_id", "predicted_at"]
        lists = "select customer_id, count(*) n, count(distinct store_id) m, min(rank) a, max(rank) b from next_stores"
        assert shop.rows(f"select distinct n, m, a, b from ({lists} group by customer_id)") == [(2, 2, 1, 2)]
        ordered = "select a.score >= b.score from next_stores a join next_stores b using (customer_id)"
        assert shop.rows(f"select distinct * from ({ordered} where a.rank < b.rank) as t") == [(True,)]
        assert shop.rows("select min(score) > 0, max(score) < 1 from next_stores") == [(True, True)]
        (line,) = [line for line in built.log.splitlines() if "backtest on" in line]
        assert "map@2" in line

    def test__registry__figures__of_the_lists_and_three_baselines(self, shop: Project) -> None:
        assert shop.rows("select kind, backtest_metric from rfm_versions") == [("link", "map@2")]
        found = shop.rows("select distinct baseline from rfm_metrics order by baseline")
        assert found == [("",), ("co-occurrence",), ("own repeat",), ("popularity",)]
        metrics = {m for (m,) in shop.rows("select metric from rfm_metrics where baseline = ''")}
        assert metrics == {"map@2", "ndcg@2", "recall@2", "coverage@2", "map@12"}

    def test__step__the_kept_bundle__gives_the_served_rows(
        self, shop: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (bundle,) = (shop.path / "target" / "rfm" / "next_stores").iterdir()

        code, shown = run_cli(shop, capsys, "step", str(bundle), "again.parquet")

        assert code == 0, shown
        again = pq.read_table(shop.path / "again.parquet").to_pylist()
        columns = "customer_id, anchor_time, store_id, score, rank"
        served = shop.rows(f"select {columns} from next_stores order by customer_id, rank")
        assert sorted(tuple(row.values()) for row in again) == sorted(served)

    def test__empty__recommendation__has_the_columns_and_no_rows(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "next_stores", "--empty")

        assert built.success, built.log
        assert shop.rows("select count(*) from next_stores") == [(0,)]
        assert shop.rows("select column_type from (describe next_stores) where column_name = 'store_id'") == [
            ("INTEGER",)
        ]

    def test__command_line__predict_check_and_evaluate__know_lists(
        self, shop: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, shown = run_cli(shop, capsys, "predict", STORES, "--entity", "7", "--csv")
        assert code == 0, shown
        rows = [line for line in shown.splitlines() if line.startswith("7,")]
        assert shown.splitlines()[0] == '"customer_id","anchor_time","store_id","score","rank"' and len(rows) == 2

        code, shown = run_cli(shop, capsys, "check", STORES)
        assert code == 0 and "the 2 likeliest of stores" in shown and "items per list" in shown, shown

        code, shown = run_cli(shop, capsys, "evaluate", STORES)
        assert code == 0 and "co-occurrence" in shown and "map@2" in shown, shown

    def test__bad_queries__get_one_message(self, shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
        wrong = STORES.replace("orders.store_id", "orders.amount")

        code, shown = run_cli(shop, capsys, "predict", wrong)

        assert code != 0 and "orders.amount is no foreign key" in shown and "orders.store_id" in shown
        assert "Traceback" not in shown
