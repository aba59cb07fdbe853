"""Workers on connections of their own share the shards of one job, on a real Postgres server."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shop_world
from shop_world import QUESTIONS, assert_alike
from sqlglot import exp

from dbt_rfm.job import Job, JobTarget
from dbt_rfm.pipeline import help_with
from dbt_rfm.publish import publish
from dbt_rfm.shards import run_tables
from dbt_rfm.warehouse.postgres import Postgres
from dbt_rfm.warehouse.relations import names_beginning
from dbt_rfm.worker.shard_board import ShardBoard, jobs_with_free_shards

WHOLE = JobTarget(None, "public", "whole")
PARTED = replace(WHOLE, identifier="parted")


@pytest.fixture
def shop(postgres: Postgres, tmp_path: Path) -> Postgres:
    shop_world.copied(shop_world.in_duckdb(tmp_path), postgres)
    return postgres


@pytest.mark.parametrize("name", ["regression", "forecast", "ranking"])
def test__publish__two_workers__write_what_one_would(
    shop: Postgres, postgres_output: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(shop_world.job(QUESTIONS[name], str), target_path=str(tmp_path), rfm_schema="public")
    publish(replace(asked, target=WHOLE), shop, replace_served=False)
    monkeypatch.setattr(run_tables, "SHARD", 12)
    helped = threading.Thread(target=_help, args=(replace(asked, target=PARTED), postgres_output))
    helped.start()
    board = ShardBoard(shop, PARTED, "job", pause=0.1)

    done = publish(replace(asked, target=PARTED), shop, replace_served=False, board=board)

    helped.join()
    assert done.status == "ready" and "shards" in done.message
    assert_alike(_rows(shop, "parted__history"), _rows(shop, "whole__history"))
    assert board.left() == 0
    assert names_beginning(shop, PARTED, "rfm_run_") == []


def _help(job: Job, output: dict[str, Any]) -> None:
    """Another worker, which helps once the job is planned."""
    with Postgres.open(output) as warehouse:
        for _ in range(600):
            if jobs_with_free_shards(warehouse, PARTED):
                board = ShardBoard(warehouse, PARTED, "job", pause=0.1)
                if help_with(job, warehouse, board):
                    return
            threading.Event().wait(0.1)


def _rows(warehouse: Postgres, table: str) -> list[tuple]:
    found = warehouse.query(exp.select("*").from_(exp.table_(table, quoted=True)))
    found = found.drop_columns(["run_id", "predicted_at", "model_version"])
    return sorted((tuple(row.values()) for row in found.to_pylist()), key=repr)
