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

    def test__second_build__same_rows__only_answers(self, shop: Project) -> None:
        served = shop.rows("select customer_id, prediction, p10, p90 from spending order by 1")

        built = shop.dbt("run", "--select", "spending")

        assert built.success, built.log
        assert "(kept from the anchor 2025-06-30" in built.log
        assert shop.rows("select customer_id, prediction, p10, p90 from spending order by 1") == served
        shas = shop.rows("select distinct checkpoint_sha from rfm_versions where model_name = 'spending'")
        kept = {path.stem for path in (shop.path / "target" / "rfm" / "weights").rglob("*.safetensors")}
        assert len(shas) == 1 and shas[0][0] in kept and len(kept) == 2

    def test__build__a_column_more__trains_again_and_says_so(self, shop: Project) -> None:
        orders = (shop.path / "models" / "orders.sql").read_text()
        shop.write("models/orders.sql", f"select *, amount * 2 as doubled from ({orders}) as o")

        built = shop.dbt("run", "--select", "orders", "spending")

        assert built.success, built.log
        assert "(trained again: the schema changed)" in built.log
        (served,) = shop.rows(
            "select checkpoint_sha from rfm_versions where model_name = 'spending' and status = 'serving'"
        )
        kept = {path.stem for path in (shop.path / "target" / "rfm" / "weights").rglob("*.safetensors")}
        assert served[0] in kept

    def test__newer_versions_held_back__weights_of_the_one_that_serves_stay(self, shop: Project) -> None:
        query = "select checkpoint_sha, status from rfm_versions where model_name = 'spending' order by version desc"
        (served,) = [sha for sha, status in shop.rows(query) if status == "serving"]
        unlearnt = TINY.replace("'epochs': 2", "'epochs': 1, 'rate': 1e-12") + ", 'on_worse': 'hold'"
        for seed in (1, 2, 3):
            shop.write("models/spending.sql", predict(SPENDING, rfm=f"{unlearnt}, 'seed': {seed}"))
            assert shop.dbt("run", "--select", "spending").success

        (newest, *_), (second, *_), (third, *_) = held = shop.rows(query)[:3]
        kept = {path.stem for path in (shop.path / "target" / "rfm" / "weights").rglob("*.safetensors")}
        assert [status for _, status in held] == ["held"] * 3
        assert {served, newest, second} <= kept and third not in kept and len(kept) == 5

    def test__build__unknown_option_of_the_model__is_named(self, shop: Project) -> None:
        served = shop.rows("select * from spending order by 1")
        shop.write("models/spending.sql", predict(SPENDING, rfm=TINY.replace("layers", "layer")))

        built = shop.dbt("run", "--select", "spending")

        assert not built.success
        assert "the model graph_transformer has no option layer" in built.log and "Did you mean layers" in built.log
        assert "Traceback" not in built.log
        assert shop.rows("select * from spending order by 1") == served
