"""The dbt package and the Python package beside each other: names in queries, versions, installation."""

from __future__ import annotations

import json
import sys

import pytest
from dbt_projects import REPOSITORY, Project
from shop_project import predict

import dbt_rfm

pytestmark = pytest.mark.functional


def parents(project: Project, model: str) -> list[str]:
    manifest = json.loads((project.path / "target" / "manifest.json").read_text())
    return [uid.split(".")[-1] for uid in manifest["nodes"][f"model.shop.{model}"]["depends_on"]["nodes"]]


def test__version__dbt_project_and_macro__equal_the_python_package(shop_template: Project) -> None:
    manifest = json.loads((shop_template.path / "target" / "manifest.json").read_text())
    macro = manifest["macros"]["macro.dbt_rfm.package_version"]["macro_sql"]

    assert f"'{dbt_rfm.__version__}'" in macro
    assert f'version: "{dbt_rfm.__version__}"' in (REPOSITORY / "dbt_project.yml").read_text()


def test__package__tests_and_models__stay_out_of_a_users_project(shop_template: Project) -> None:
    manifest = json.loads((shop_template.path / "target" / "manifest.json").read_text())

    assert [uid for uid, node in manifest["nodes"].items() if node["package_name"] == "dbt_rfm"] == []


class TestQueryNames:
    def test__parse__names__in_texts_and_comments_are_none(self, shop: Project) -> None:
        shop.write(
            "dbt_project.yml", (shop.path / "dbt_project.yml").read_text().replace("[customers, orders, stores]", "[]")
        )
        query = (
            "PREDICT COUNT(`orders`.* WHERE orders.note = 'it''s x.y', 0, 30, days) -- not.this\n"
            "# nor.that\nFOR EACH Customers.customer_id /* or.these\nlines.too */ WHERE orders.amount > 1.5"
        )
        shop.write("models/quoted.sql", predict(query, arguments=", tables=['customers']"))
        shop.write(
            "models/mapped.sql",
            predict("PREDICT people.age FOR EACH people.id", arguments=", tables={'people': ref('customers')}"),
        )
        shop.write(
            "models/labelled.sql", predict("PREDICT labels.y FOR EACH customers.id", arguments=", labels=ref('orders')")
        )

        parsed = shop.dbt("parse")

        assert parsed.success, parsed.log
        assert sorted(parents(shop, "quoted")) == ["customers", "orders"]
        assert parents(shop, "mapped") == ["customers"]
        assert sorted(parents(shop, "labelled")) == ["customers", "orders"]


class TestInstallation:
    def test__python_package__missing__says_how_to_install_it(
        self, shop: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.write("models/churn.sql", predict())
        monkeypatch.setitem(sys.modules, "dbt_rfm.embedded", None)

        failed = shop.dbt("run", "--select", "churn")

        assert "the Python package dbt-rfm cannot be imported" in failed.messages["churn"]
        assert f"pip install 'dbt-rfm[duckdb]=={dbt_rfm.__version__}'" in failed.messages["churn"]
        assert "Traceback" not in failed.log

    def test__python_package__other_version__names_both(self, shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        version = dbt_rfm.__version__
        monkeypatch.setattr(dbt_rfm, "__version__", "9.9.9")

        failed = shop.dbt("run", "--select", "churn")

        expected = f"the dbt package dbt_rfm is {version} but the Python package dbt-rfm is 9.9.9"
        assert expected in failed.messages["churn"]
        assert "Traceback" not in failed.log
