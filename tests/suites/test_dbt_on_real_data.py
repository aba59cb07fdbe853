"""`dbt build` over real databases: Parquet files as sources, declared by tests, asked in the words of dataset.yml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dbt_projects import PROFILE, REPOSITORY, Project
from suite_database import spec_of

pytestmark = [pytest.mark.functional, pytest.mark.suite]

SETTINGS = """
name: real
version: "1.0"
profile: shop
model-paths: [models]
vars:
  dbt_rfm_graph: {graph}
models:
  real: {{+materialized: view}}
"""


def _model(name: str, entry: dict, links: list[tuple[str, str, str, str]]) -> dict:
    """A table's entry in schema.yml: key, links and time, as a project would declare them."""
    key = {"name": entry["primary_key"], "data_tests": ["unique", "not_null"]}
    columns = [key]
    for child, column, parent, parent_key in links:
        if child == name:
            to = {"to": f"ref('{parent}')", "field": parent_key}
            # The rows are as they are: some point nowhere.
            test = {"relationships": {"arguments": to, "config": {"severity": "warn"}}}
            columns.append({"name": column, "data_tests": [test]})
    model: dict = {"name": name, "columns": columns}
    if entry["time_column"]:
        model["config"] = {"event_time": entry["time_column"]}
    return model


def _project(folder: Path, suite: Path, dataset: str, tasks: tuple[str, ...]) -> Project:
    spec = spec_of(dataset)
    project = Project(folder)
    project.write("dbt_project.yml", SETTINGS.format(graph=list(spec["tables"])))
    project.write("profiles.yml", PROFILE)
    project.write("packages.yml", f"packages:\n  - local: {REPOSITORY}\n")
    for table, entry in spec["tables"].items():
        project.write(f"models/{table}.sql", f"select * from read_parquet('{suite / dataset / entry['file']}')\n")
    links = [tuple(part for side in link.split("->") for part in side.strip().split(".")) for link in spec["links"]]
    models = [_model(name, entry, links) for name, entry in spec["tables"].items()]
    project.write("models/schema.yml", yaml.safe_dump({"version": 2, "models": models}))
    for task in tasks:
        project.write(
            f"models/{task}.sql",
            "{{ config(materialized='prediction', meta={'rfm': {'context_size': 300}}) }}\n"
            f'{{{{ dbt_rfm.predict("{spec["tasks"][task]["query"]}") }}}}\n',
        )
    assert project.dbt("deps").success
    return project


@pytest.mark.parametrize(
    ("dataset", "tasks"),
    [
        ("f1", ("driver_dnf", "driver_top3", "driver_position")),
        ("online_retail", ("customer_churn", "customer_ltv")),
    ],
)
def test__dbt_build__real_database__answers_its_queries(
    suite_folder: Path, tmp_path: Path, dataset: str, tasks: tuple[str, ...]
) -> None:
    if not (suite_folder / dataset).is_dir():
        pytest.skip(f"no database {dataset} in {suite_folder}")
    project = _project(tmp_path / dataset, suite_folder, dataset, tasks)
    built = project.dbt("build")
    assert built.success, built.log
    for task in tasks:
        assert f"{task} version 1 serving" in built.log
        asked = spec_of(dataset)["tasks"][task]
        key, value = asked["entity"].split(".")[1], "probability" if asked["kind"] == "binary" else "prediction"
        counted = f'count(*), count(distinct "{key}"), count(distinct anchor_time), count(distinct {value})'
        ((rows, entities, anchors, different),) = project.rows(f"select {counted} from {task}")
        assert rows == entities > 0 and anchors == 1
        assert different > 1, "every entity got the same answer"
    metrics = {name for (name,) in project.rows("select distinct model_name from rfm_metrics where baseline <> ''")}
    assert metrics == set(tasks), "each prediction has a backtest beside baselines"
