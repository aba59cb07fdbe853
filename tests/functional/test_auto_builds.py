"""Model auto under dbt: a table of who was tried, and the winner in the registry."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import predict

pytestmark = pytest.mark.functional

QUICKLY = "'context_size': 300, 'model': 'auto', 'auto': {'minutes': 0.1}"


class TestAuto:
    def test__build__auto__says_who_scored_what_and_registers_the_winner(self, shop: Project) -> None:
        shop.write("models/churn_best.sql", predict(rfm=QUICKLY))

        built = shop.dbt("run", "--select", "churn_best")

        assert built.success, built.log
        (heading,) = [line for line in built.log.splitlines() if "auto took" in line]
        for name in ("rfm", "rfm, fine-tuned", "graph_transformer"):
            assert f"\n  {name}: " in built.log
        (model,) = shop.rows("select rfm_model from rfm_versions where model_name = 'churn_best'")[0]
        winner = heading.split("auto took ")[1].split(",")[0]
        assert model.startswith(winner.split()[0])

    def test__build__auto_with_options_of_one_model__is_refused(self, shop: Project) -> None:
        shop.write("models/churn_best.sql", predict(rfm=QUICKLY + ", 'fine_tune': {'minutes': 1}"))

        built = shop.dbt("run", "--select", "churn_best")

        assert not built.success
        assert "each with its own options" in built.log
