"""A forecast under dbt: its table, its registry, its tests, and the command line on the same project."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import predict

pytestmark = pytest.mark.functional

WEEKLY = "PREDICT SUM(orders.amount, 0, 7, days) FORECAST 4 TIMEFRAMES FOR EACH stores.store_id"
TESTS = """
models:
  - name: weekly
    data_tests:
      - dbt_rfm.beats_baseline: {config: {severity: warn}}
      - dbt_rfm.prediction_fresh: {arguments: {max_age_days: 1, time_column: predicted_at}}
    columns:
      - {name: store_id, data_tests: [not_null]}
      - {name: step, data_tests: [{accepted_values: {arguments: {values: [1, 2, 3, 4], quote: false}}}]}
"""


class TestForecast:
    def test__build__forecast__one_row_per_store_and_week(self, shop: Project) -> None:
        shop.write("models/weekly.sql", predict(WEEKLY))
        shop.write("models/weekly.yml", TESTS)
        shop.write("models/monthly.sql", "select store_id, sum(prediction) as n from {{ ref('weekly') }} group by 1")

        built = shop.dbt("build", "--select", "weekly+")

        assert built.success, built.log
        assert built.results["weekly"] == built.results["monthly"] == "success"
        names = [r[0] for r in shop.rows("select column_name from (describe weekly)")]
        assert names == [
            *("store_id", "anchor_time", "step", "forecast_from", "forecast_until"),
            *("prediction", "p10", "p50", "p90"),
            *("model_version", "run_id", "predicted_at"),
        ]
        assert shop.rows("select store_id, step from weekly order by 1, 2") == [
            (store, step) for store in (1, 2, 3, 4) for step in (1, 2, 3, 4)
        ]
        lengths = "select distinct forecast_until - forecast_from = interval 7 day from weekly"
        assert shop.rows(lengths) == [(True,)]
        starts = "select count(*) from weekly where forecast_from != anchor_time + to_days(cast(7 * (step - 1) as int))"
        assert shop.rows(starts) == [(0,)]
        assert shop.rows("select count(*) from weekly where not (0 <= p10 and p10 <= p50 and p50 <= p90)") == [(0,)]

    def test__build__forecast__says_its_backtest_and_records_it(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "weekly")

        (line,) = [line for line in built.log.splitlines() if "backtest on" in line]
        assert "weekly version 2 serving: 16 predictions" in line and "wape" in line and "coverage" in line
        assert shop.rows("select kind, backtest_metric from rfm_versions where version = 2") == [("forecast", "wape")]
        baselines = "select distinct baseline from rfm_metrics where metric = 'wape' and version = 2 order by 1"
        assert shop.rows(baselines) == [("",), ("entity mean",), ("last value",), ("seasonal naive",)]

    def test__rollback__forecast__serves_the_first_version(self, shop: Project) -> None:
        first = shop.rows("select * from weekly__history where model_version = 1 order by store_id, step")

        rolled = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: weekly}")

        assert rolled.success, rolled.log
        assert shop.rows("select * from weekly order by store_id, step") == first

    def test__empty__forecast__has_its_columns_and_no_row(self, shop: Project) -> None:
        before = shop.rows("select column_name, column_type from (describe weekly)")

        built = shop.dbt("run", "--select", "weekly", "--empty")

        assert built.success, built.log
        assert shop.rows("select column_name, column_type from (describe weekly)") == before
        assert shop.rows("select count(*) from weekly") == [(0,)]

    def test__run__no_number__is_one_clear_error(self, shop: Project) -> None:
        shop.write("models/weekly.sql", predict(WEEKLY.replace("SUM(orders.amount", "LAST(stores.kind")))

        built = shop.dbt("run", "--select", "weekly")

        assert not built.success
        assert "Traceback" not in built.log
