"""Trained weights are kept apart by prediction, so that nobody prunes what another one serves."""

from __future__ import annotations

from pathlib import Path

from dbt_rfm.answer.trained import name_of
from dbt_rfm.job import Job, JobTarget
from dbt_rfm.model.store import WeightStore


def kept_in(root: Path, database: str | None) -> str:
    job = Job(query="", tables=(), target=JobTarget(database, "predictions", "churn"))
    return WeightStore(root, name_of(job)).files.root


def test__weights__same_schema_in_two_databases__a_folder_each(tmp_path: Path) -> None:
    assert kept_in(tmp_path, "dev") != kept_in(tmp_path, "prod")
    assert kept_in(tmp_path, "prod") == kept_in(tmp_path, "prod")


def test__weights__database_without_a_name__of_schema_and_table(tmp_path: Path) -> None:
    assert kept_in(tmp_path, None).startswith(f"{tmp_path}/predictions_churn-")
