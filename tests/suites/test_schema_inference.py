"""Keys, links and times of real databases of which nothing is declared, against what their dataset.yml says.

Names are compared without case, since dataset.yml writes them in lower case. `pytest -s` prints precision and recall.
"""

from __future__ import annotations

import duckdb
import pytest
from suite_database import FOLDER, spec_of

from dbt_rfm.job import Job, JobTable
from dbt_rfm.schema.from_job import schema_from_job
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.schema.validate import Severity, validate
from dbt_rfm.warehouse.duckdb import DuckDB

pytestmark = pytest.mark.suite

# dataset.yml keeps these tables timeless, because their only date says when a customer or a store was opened.
TIMELESS = {("maven_market", "customers"), ("maven_market", "stores")}


def load(name: str) -> tuple[dict, RelationalSchema, DuckDB]:
    spec = spec_of(name)
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    for table, entry in spec["tables"].items():
        connection.execute(f"create view \"{table}\" as from '{FOLDER / name / entry['file']}'")
    tables = tuple(JobTable(alias=table, relation=f'"{table}"') for table in spec["tables"])
    warehouse = DuckDB(connection)
    return spec, schema_from_job(Job(query="", tables=tables), warehouse), warehouse


def agreement(found: set, expected: set) -> tuple[float, float]:
    """(precision, recall)."""
    hits = len(found & expected)
    return hits / len(found), hits / len(expected)


def test__inference__nothing_declared__keys_and_links_of_the_dataset(dataset: str) -> None:
    spec, schema, _ = load(dataset)
    keys = {(t.name, t.primary_key[0].casefold()) for t in schema.tables if t.primary_key}
    links = {str(link).replace(" ", "").casefold() for link in schema.links}
    wanted_keys = {(table, entry["primary_key"].casefold()) for table, entry in spec["tables"].items()}
    wanted_links = {link.replace(" ", "").casefold() for link in spec["links"]}
    for what, found, wanted in (("keys", keys, wanted_keys), ("links", links, wanted_links)):
        precision, recall = agreement(found, wanted)
        print(f"{dataset}: {len(wanted)} {what}, precision {precision:.2f}, recall {recall:.2f}")
    assert keys == wanted_keys
    assert links == wanted_links
    assert all(link.inferred for link in schema.links)


def test__inference__nothing_declared__times_of_the_dataset(dataset: str) -> None:
    spec, schema, _ = load(dataset)
    for table in schema.tables:
        wanted = spec["tables"][table.name]["time_column"]
        if (dataset, table.name) not in TIMELESS:
            assert (table.time_column or "").casefold() == (wanted or "").casefold(), table.name


def test__validate__real_rows__orphans_counted_and_no_errors(dataset: str) -> None:
    _, schema, warehouse = load(dataset)
    findings = validate(schema, warehouse)
    assert [f for f in findings if f.severity is Severity.ERROR] == []
    orphans = [f.problem for f in findings if "find no" in f.problem]
    assert any("votes.post_id" in problem for problem in orphans) == (dataset == "beer")
