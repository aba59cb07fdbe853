"""Kumo Relational under dbt: the way of the data with random weights, and a hub that cannot be reached."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import predict

pytest.importorskip("sdm", reason="the extra kumo is not installed")
pytestmark = pytest.mark.functional

SPENDING = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
RANDOM = "'context_size': 60, 'model': 'kumo', 'model_options': {'pretrained': false}"


class TestKumo:
    def test__build__random_weights__publishes_and_registers_them(self, shop: Project) -> None:
        shop.write("models/spending.sql", predict(SPENDING, rfm=RANDOM))

        built = shop.dbt("run", "--select", "spending")

        assert built.success, built.log
        found = shop.rows("select rfm_model, num_rows, checkpoint_sha from rfm_versions where model_name = 'spending'")
        (model, rows, sha), *_ = found
        assert model == "kumo-relational-random" and len(sha) == 64
        assert shop.rows("select count(*) from spending where p10 <= p50 and p50 <= p90") == [(rows,)]
        assert rows > 0

    def test__build__hub_out_of_reach__says_what_to_do_and_keeps_the_served_table(
        self, shop: Project, monkeypatch: pytest.MonkeyPatch, tmp_path
    ) -> None:
        served = shop.rows("select * from spending order by 1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        shop.write("models/spending.sql", predict(SPENDING, rfm="'context_size': 60, 'model': 'kumo'"))

        built = shop.dbt("run", "--select", "spending")

        assert not built.success
        assert "the weights of Kumo Relational" in built.log and "HF_HOME" in built.log
        assert "Traceback" not in built.log
        assert shop.rows("select * from spending order by 1") == served

    def test__build__unknown_option_of_the_model__is_named(self, shop: Project) -> None:
        shop.write("models/spending.sql", predict(SPENDING, rfm=RANDOM.replace("pretrained", "pretrianed")))

        built = shop.dbt("run", "--select", "spending")

        assert not built.success
        assert "the model kumo has no option pretrianed" in built.log
