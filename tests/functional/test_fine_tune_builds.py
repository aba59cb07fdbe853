"""Fine-tuning under dbt: one line of YAML, weights of its own in the registry, used again by the next run."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import CHURN, predict

pytestmark = pytest.mark.functional

TUNED = "'context_size': 400, 'fine_tune': {'minutes': 0.1}"


def line_on_tuning(log: str) -> str:
    (line,) = {line.split("  ")[-1] for line in log.splitlines() if "fine-tuned" in line and "log loss" in line}
    return line


class TestFineTune:
    def test__build__fine_tune__publishes_and_keeps_what_was_learnt(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict(CHURN, rfm=TUNED))

        built = shop.dbt("run", "--select", "churn")

        assert built.success, built.log
        assert "held-back rows" in line_on_tuning(built.log)
        (model, sha), *_ = shop.rows("select rfm_model, checkpoint_sha from rfm_versions where model_name = 'churn'")
        kept = list((shop.path / "target" / "rfm" / "weights").rglob("*.json"))
        weights = list((shop.path / "target" / "rfm" / "weights").rglob("*.safetensors"))
        assert len(kept) == 1
        assert ("-tuned-" in model) == bool(weights)
        assert [path.stem for path in weights] == ([sha] if weights else [])

    def test__second_run__same_rows__uses_the_weights_again(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "churn")

        assert built.success, built.log
        assert "kept from the anchor 2025-06-30" in line_on_tuning(built.log)
        shas = shop.rows("select distinct checkpoint_sha from rfm_versions where model_name = 'churn'")
        assert len(shas) == 1

    def test__full_refresh__trains_again_and_says_so(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "churn", "--full-refresh")

        assert built.success, built.log
        assert "trained again: it was asked for" in line_on_tuning(built.log)

    def test__build__fine_tune_without_minutes__one_message(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict(CHURN, rfm="'fine_tune': 2"))

        built = shop.dbt("run", "--select", "churn")

        assert not built.success
        assert "option meta.rfm.fine_tune is 2, expected a mapping such as {minutes: 2}" in built.log
        assert shop.rows("select count(*) > 0 from churn") == [(True,)]
