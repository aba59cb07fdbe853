"""The generic tests of the package, on predictions that pass and on tables doctored to fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dbt_projects import Project, Run
from shop_project import predict

pytestmark = pytest.mark.functional

SCHEMA = """
models:
  - name: churn
    data_tests:
      - dbt_rfm.beats_baseline: {name: beats}
      - dbt_rfm.beats_baseline: {name: beats_auroc, arguments: {metric: auroc}}
      - dbt_rfm.beats_baseline: {name: beats_logloss, arguments: {metric: logloss}}
      - dbt_rfm.prediction_fresh: {name: fresh_days, arguments: {max_age_days: 3}}
      - dbt_rfm.prediction_fresh: {name: fresh_hours, arguments: {period: hour, count: 2, time_column: predicted_at}}
    columns:
      - name: probability
        data_tests:
          - dbt_rfm.valid_probability: {name: valid}
  - name: segments
    columns:
      - name: probability
        data_tests:
          - dbt_rfm.valid_probability: {name: sums, arguments: {sum_to_one_by: customer_id}}
  - name: known
    data_tests:
      - dbt_rfm.beats_baseline: {name: unpublished}
"""


@pytest.fixture(scope="class")
def built(shop: Project) -> Run:
    shop.write("models/churn.sql", predict())
    shop.write(
        "models/known.sql",
        "select customer_id, city_id, case when customer_id % 10 > 0 then segment end as segment "
        "from {{ ref('customers') }}",
    )
    query = "PREDICT known.segment FOR EACH known.customer_id"
    shop.write("models/segments.sql", predict(query, arguments=", tables=['known']"))
    shop.write("models/generic.yml", SCHEMA)
    return shop.dbt("run", "--select", "churn", "known", "segments")


class TestGenericTests:
    def test__tests__good_prediction__pass(self, built: Run, shop: Project) -> None:
        assert built.success, built.log
        shop.execute("update churn set anchor_time = current_localtimestamp() - interval 1 day")
        better = "update rfm_metrics set value = case baseline when '' then {} else {} end where metric = '{}'"
        shop.execute(better.format(0.9, 0.8, "auroc") + "; " + better.format(0.3, 0.4, "logloss"))
        shop.execute("update rfm_versions set beats_baseline = true")

        tested = shop.dbt("test", "--select", "churn", "segments")

        assert tested.results == dict.fromkeys(
            ["beats", "beats_auroc", "beats_logloss", "fresh_days", "fresh_hours", "valid", "sums"], "pass"
        )

    def test__tests__doctored_prediction__fail(self, built: Run, shop: Project) -> None:
        old = datetime.now(UTC).replace(tzinfo=None)
        shop.execute(f"update churn set anchor_time = timestamp '{old - timedelta(days=4)}'")
        shop.execute(f"update churn set predicted_at = timestamp '{old - timedelta(hours=3)}'")
        shop.execute(
            "update churn set probability = "
            "case customer_id % 3 when 0 then null when 1 then 1.2 else 'nan'::double end"
        )
        shop.execute("update segments set probability = probability / 2")
        shop.execute(
            "update rfm_metrics set value = case baseline when '' then 0.5 when 'constant' then 0.4 else 0.5 end"
        )
        shop.execute("update rfm_versions set beats_baseline = false")

        tested = shop.dbt("test", "--select", "churn", "segments")

        assert set(tested.results.values()) == {"fail"} and len(tested.results) == 7
        rows = shop.rows("select count(*) from churn")[0][0]
        assert tested.messages["valid"].startswith(f"Got {rows} results")

    def test__beats_baseline__nothing_published_or_served__fails(self, built: Run, shop: Project) -> None:
        shop.execute("update rfm_versions set status = 'held' where model_name = 'churn'")

        tested = shop.dbt("test", "--select", "beats", "unpublished")

        assert tested.results == {"beats": "fail", "unpublished": "fail"}

    def test__prediction_fresh__no_age__says_what_to_write(self, shop: Project) -> None:
        shop.write("models/generic.yml", SCHEMA.replace("max_age_days: 3", "period: week, count: 1"))

        parsed = shop.dbt("parse")

        assert not parsed.success
        assert "prediction_fresh takes max_age_days, or period (minute, hour, day) and count" in parsed.log
