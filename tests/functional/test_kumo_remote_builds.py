"""Kumo Relational at an endpoint under dbt: published like any other model, and nothing is lost where it fails."""

from __future__ import annotations

import logging

import pytest
from dbt_projects import Project
from shop_project import CHURN, predict

pytest.importorskip("sdm_client", reason="the extra nim is not installed")

from kumo_endpoint import kumo_endpoint

pytestmark = pytest.mark.functional

SPENDING = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
KEY = "nvapi-very-secret"


def options(url: str) -> str:
    return f"'context_size': 200, 'model': 'kumo', 'model_options': {{'endpoint': '{url}'}}"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("DBT_RFM_KUMO_API_KEY", raising=False)
    # pytest keeps what is logged; with each failed attempt its frames, and so the database that they have open.
    caplog.set_level(logging.ERROR, logger="urllib3.connectionpool")


class TestKumoEndpoint:
    def test__build__endpoint__publishes_its_answers_and_registers_where_they_are_from(self, shop: Project) -> None:
        with kumo_endpoint() as endpoint:
            shop.write("models/churn.sql", predict(CHURN, rfm=options(endpoint.url)))
            shop.write("models/spending.sql", predict(SPENDING, rfm=options(endpoint.url)))
            built = shop.dbt("run", "--select", "churn", "spending")

        assert built.success, built.log
        assert not endpoint.refused and not endpoint.kept
        # Context and questions of the predictions and of their backtests.
        assert endpoint.count("POST", "sessions") == endpoint.count("DELETE", "sessions") == 4
        assert endpoint.count("POST", "predictions") == 4
        assert not [name for name in ("customers", "amount", "segment") if name in "".join(endpoint.bodies)]
        versions = shop.rows("select distinct rfm_model from rfm_versions where model_name in ('churn', 'spending')")
        assert versions == [(f"kumo-relational@{endpoint.url.removeprefix('http://')}",)]
        assert shop.rows("select count(*) > 10, count(distinct probability) > 1 from churn") == [(True, True)]
        assert shop.rows("select count(*) > 10, bool_and(p10 <= p50 and p50 <= p90) from spending") == [(True, True)]

    def test__build__endpoint__foresees_who_leaves(self, shop: Project) -> None:
        query = "select value from rfm_metrics where metric = 'auroc' and baseline = '' and model_name = 'churn'"
        ((auroc,),) = shop.rows(query)
        assert auroc > 0.6

    def test__build__endpoint_that_is_gone__says_so_and_keeps_the_served_table(self, shop: Project) -> None:
        served = shop.rows("select * from churn order by 1")

        built = shop.dbt("run", "--select", "churn")

        assert not built.success
        assert "of the model kumo cannot be reached: ConnectionRefusedError" in built.log
        assert "Traceback" not in built.log
        assert served and shop.rows("select * from churn order by 1") == served

    def test__build__key_that_is_refused__is_not_shown(self, shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        served = shop.rows("select * from churn order by 1")
        monkeypatch.setenv("DBT_RFM_KUMO_API_KEY", KEY)
        with kumo_endpoint(key="another") as endpoint:
            shop.write("models/churn.sql", predict(CHURN, rfm=options(endpoint.url)))
            built = shop.dbt("run", "--select", "churn")

        assert not built.success and KEY in endpoint.keys
        assert "refuses (401) the key in DBT_RFM_KUMO_API_KEY" in built.log
        files = [file for file in shop.path.rglob("*") if file.is_file()]
        assert KEY not in built.log and not [file for file in files if KEY.encode() in file.read_bytes()]
        assert shop.rows("select * from churn order by 1") == served

    def test__build__key_in_the_project__is_refused_without_being_used(self, shop: Project) -> None:
        with kumo_endpoint() as endpoint:
            given = options(endpoint.url).replace("{'endpoint'", f"{{'api_key': '{KEY}', 'endpoint'")
            shop.write("models/churn.sql", predict(CHURN, rfm=given))
            built = shop.dbt("run", "--select", "churn")

        assert not built.success and not endpoint.calls
        assert "takes no key as an option" in built.log and KEY not in built.log
