"""The graph transformer under dbt: trained in the build, published, registered; a wrong option is named."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import predict

pytestmark = pytest.mark.functional

SPENDING = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
TINY = (
    "'context_size': 60, 'model': 'graph_transformer', "
    "'model_options': {'channels': 16, 'layers': 1, 'members': 1, 'epochs': 2, 'batch': 16}"
)


class TestGraphTransformer:
    def test__build__trained_on_the_rows__publishes_and_registers_its_weights(self, shop: Project) -> None:
        shop.write("models/spending.sql", predict(SPENDING, rfm=TINY))

        built = shop.dbt("run", "--select", "spending")

        assert built.success, built.log
        found = shop.rows(
            "select rfm_model, num_rows, checkpoint_sha from rfm_versions where model_name = 'spending' "
            "order by version desc"
        )
        (model, rows, sha), *_ = found
        assert model.startswith("graph-transformer-1-") and sha.startswith(model[-8:]) and len(sha) == 64
        assert shop.rows("select count(*) from spending where p10 <= p50 and p50 <= p90") == [(rows,)]
        assert rows > 0

    def test__build__unknown_option_of_the_model__is_named(self, shop: Project) -> None:
        served = shop.rows("select * from spending order by 1")
        shop.write("models/spending.sql", predict(SPENDING, rfm=TINY.replace("layers", "layer")))

        built = shop.dbt("run", "--select", "spending")

        assert not built.success
        assert "the model graph_transformer has no option layer" in built.log and "Did you mean layers" in built.log
        assert "Traceback" not in built.log
        assert shop.rows("select * from spending order by 1") == served
