"""`dbt-rfm report` writes one page, and says in a line what stands in the way."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from published_predictions import published

from dbt_rfm.job import JobTarget
from dbt_rfm.warehouse.duckdb import DuckDB

QUERY = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"


@pytest.fixture
def shop(own_project: Path) -> Path:
    """A project with two predictions, of which one is not in the project any more."""
    with DuckDB.open(own_project / "shop.duckdb", read_only=False) as warehouse:
        for name, query in (("churn", QUERY), ("old", "PREDICT nothing")):
            published(warehouse, JobTarget("shop", "main", name), query=query)
    return own_project


def test__report__all_predictions__a_page_in_target_whose_path_is_printed(command, shop: Path) -> None:
    before = (shop / "shop.duckdb").read_bytes()
    code, shown, error = command("report", "--project-dir", shop)
    file = Path(shown.strip())
    assert (code, error) == (0, "") and file == shop / "target" / "rfm" / "report.html"
    text = file.read_text()
    assert "whether the number of rows of orders in the next 30 days is 0" in text
    assert ">churn<" in text and ">old<" in text and "could not be put into words" in text
    assert (shop / "shop.duckdb").read_bytes() == before


def test__report__some_predictions__those_alone_in_the_file_named(command, shop: Path) -> None:
    code, shown, _ = command("report", "churn", "churn", "--out", shop / "for" / "them.html", "--project-dir", shop)
    assert code == 0 and Path(shown.strip()) == shop / "for" / "them.html"
    text = (shop / "for" / "them.html").read_text()
    assert text.count("<section") == 1 and ">old<" not in text


def test__report__options_of_the_model__decide_what_its_query_means(command, shop: Path) -> None:
    manifest = shop / "target" / "manifest.json"
    found = json.loads(manifest.read_text())
    found["nodes"]["model.shop.churn"]["config"]["meta"] = {"rfm": {"context_size": "many"}}
    manifest.write_text(json.dumps(found))
    command("report", "churn", "--project-dir", shop)
    assert "context_size" in (shop / "target" / "rfm" / "report.html").read_text()


def test__report__unknown_model__names_the_nearest(command, shop: Path) -> None:
    code, shown, error = command("report", "churn", "chrn", "--project-dir", shop)
    assert (code, shown) == (1, "") and "Did you mean churn?" in error


def test__report__nothing_published__says_what_to_do(command, project: Path) -> None:
    code, _, error = command("report", "--project-dir", project)
    assert code == 1 and "dbt build" in error


def test__report__served_table_dropped__page_and_one_line(command, shop: Path) -> None:
    with duckdb.connect(str(shop / "shop.duckdb")) as database:
        database.execute("drop table churn")
    code, shown, error = command("report", "--project-dir", shop)
    assert code == 0 and error.count("\n") == 1 and "churn: The table main.churn is not there any more" in error
    assert "is not there any more" in Path(shown.strip()).read_text()


def test__report__file_cannot_be_written__says_so(command, shop: Path) -> None:
    code, shown, error = command("report", "--out", shop / "target" / "manifest.json" / "x.html", "--project-dir", shop)
    assert (code, shown) == (1, "") and "x.html cannot be written" in error and "Traceback" not in error
