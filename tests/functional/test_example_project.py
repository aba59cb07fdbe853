"""The example project, set up as a newcomer would have it and built by the real dbt with deprecations as errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("dbt.cli.main", reason="dbt is not installed")
duckdb = pytest.importorskip("duckdb")
pytestmark = pytest.mark.functional

from dbt_rfm.demo.project import set_up  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
NUM_CUSTOMERS = 400
PREDICTIONS = (
    "customer_churn_30d",
    "customer_value_60d",
    "customer_next_category",
    "store_revenue_8w",
    "customer_next_products",
)


def _dbt(folder: Path, *arguments: str) -> str:
    """Run dbt in the folder as from a terminal; the test fails with what dbt printed if it does not succeed."""
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DBT_SEND_ANONYMOUS_USAGE_STATS": "False", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a built example and what `dbt build` printed."""
    folder = tmp_path_factory.mktemp("example") / "shop"
    set_up(folder, num_customers=NUM_CUSTOMERS)
    settings = (folder / "dbt_project.yml").read_text()
    assert "context_size: 2000" in settings
    (folder / "dbt_project.yml").write_text(settings.replace("context_size: 2000", "context_size: 150"))  # quick
    _dbt(folder, "deps")
    strict = json.dumps({"error": ["Deprecations"]})
    return folder, _dbt(folder, "--no-use-colors", "--warn-error-options", strict, "build")


def _rows(folder: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test__example__builds_without_error_or_traceback(built: tuple[Path, str]) -> None:
    _, printed = built
    assert "ERROR=0 SKIP=0" in printed
    assert "Traceback" not in printed
    for name in PREDICTIONS:
        assert f"{name} version 1 serving" in printed


def test__example__every_prediction_has_a_backtest(built: tuple[Path, str]) -> None:
    found = dict(_rows(built[0], "select model_name, backtest_value from rfm_versions where status = 'serving'"))
    assert set(found) == set(PREDICTIONS)
    assert all(value is not None for value in found.values())


def test__example__churn_is_predicted_for_active_customers_only(built: tuple[Path, str]) -> None:
    active = """
        select count(distinct customer_id) from orders semi join customers using (customer_id)
        where ordered_at > (select max(anchor_time) from customer_churn_30d) - interval 90 days
    """
    assert _rows(built[0], "select count(*) from customer_churn_30d") == _rows(built[0], active)
    ((worst,),) = _rows(built[0], "select count(*) from customer_churn_30d where not probability between 0 and 1")
    assert worst == 0


def test__example__quantiles_are_in_order(built: tuple[Path, str]) -> None:
    ((rows, wrong),) = _rows(
        built[0], "select count(*), count(*) filter (not (p10 <= p50 and p50 <= p90)) from customer_value_60d"
    )
    assert rows > 0
    assert wrong == 0


def test__example__categories_of_a_customer_sum_to_one(built: tuple[Path, str]) -> None:
    sums = _rows(built[0], "select sum(probability), count(*) from customer_next_category group by customer_id")
    assert sums
    assert all(abs(total - 1) < 1e-3 and count == 6 for total, count in sums)


def test__example__revenue_is_forecast_for_each_store_and_week(built: tuple[Path, str]) -> None:
    weeks = "select store_id, list(step order by step) from store_revenue_8w group by 1 order by 1"
    stores = _rows(built[0], "select store_id from stores order by 1")
    assert _rows(built[0], weeks) == [(store, list(range(1, 9))) for (store,) in stores]


def test__example__mart_has_each_customer_once_with_predictions(built: tuple[Path, str]) -> None:
    ((rows, customers, churn, category),) = _rows(
        built[0],
        "select count(*), count(distinct customer_id), count(churn_probability_30d), count(likely_next_category) "
        "from customers_with_predictions",
    )
    assert rows == customers == _rows(built[0], "select count(*) from customers")[0][0]
    assert churn == category > 0


def test__example__report__a_page_with_every_prediction_and_its_strongest_row(built: tuple[Path, str]) -> None:
    from dbt_rfm.cli import main

    folder, _ = built
    with pytest.raises(SystemExit) as left:
        main(["report", "--project-dir", str(folder), "--profiles-dir", str(folder)])
    assert not left.value.code
    page = (folder / "target" / "rfm" / "report.html").read_text()
    assert [name for name in PREDICTIONS if f"<h2>{name}</h2>" not in page] == []
    assert page.count("<h3>What is predicted</h3>") == page.count("<h3>How good it was</h3>") == len(PREDICTIONS)
    assert "could not be put into words" not in page and "not there any more" not in page
    beaten = [row[0] for row in _rows(folder, "select beats_baseline from rfm_versions where status = 'serving'")]
    assert page.count("Better than every baseline") == beaten.count(True)
    first = _rows(folder, "select customer_id from customer_churn_30d order by probability desc, customer_id limit 1")
    assert f"<td>{first[0][0]}</td>" in page
