"""`dbt-rfm bench` on real databases: a small part of it, end to end, with the bundled weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suite_database import FOLDER

from dbt_rfm.bench.examples import ROLLING, choose
from dbt_rfm.bench.published import read_published
from dbt_rfm.bench.suite import read_suite
from dbt_rfm.cli import main

pytestmark = [
    pytest.mark.suite,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no suite of databases at {FOLDER} (set DBT_RFM_SUITE)"),
]


def test__bench__one_task_of_f1__beats_the_entity_history(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    arguments = ["--task", "driver_dnf", "--context", "200", "--rows", "120", "--json", str(file)]
    with pytest.raises(SystemExit) as left:
        main(["bench", str(FOLDER), *arguments])
    assert left.value.code == 0
    figures = {e["model"]: e["metrics"]["auroc"] for e in json.loads(file.read_text())}
    assert figures["rfm"] > figures["entity history"] and figures["rfm"] > 0.65


def test__bench__lists__are_ahead_of_what_is_popular_and_of_what_goes_together(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    arguments = ["--task", "customer_next_products", "--context", "2000", "--rows", "100", "--json", str(file)]
    with pytest.raises(SystemExit) as left:
        main(["bench", str(FOLDER), *arguments])
    assert left.value.code == 0
    figures = {e["model"]: e["metrics"]["map@12"] for e in json.loads(file.read_text())}
    assert list(figures) == ["rfm", "popularity", "own repeat", "co-occurrence"]
    assert figures["rfm"] > figures["co-occurrence"] > figures["popularity"] and figures["rfm"] > 0.18


@pytest.mark.parametrize("split", ["val", "test"])
def test__choose__every_task__no_label_of_the_context_is_known_after_the_first_queried_anchor(split: str) -> None:
    for dataset in read_suite(FOLDER):
        for task in dataset.tasks:
            chosen = choose(dataset, task, protocol=ROLLING, split=split)
            rows = chosen.labels.select(["split", "anchor_time", "known_at"]).to_pylist()
            first = min(r["anchor_time"] for r in rows if r["split"] == "query")
            assert all(r["known_at"] <= first for r in rows if r["split"] == "context"), task.title


def test__read_published__baselines_of_the_suite__cover_every_executed_task() -> None:
    published = read_published(FOLDER)
    metrics = {"binary": "auroc", "regression": "mae"}
    tasks = [t for d in read_suite(FOLDER) for t in d.tasks if t.kind in metrics]
    assert [t.title for t in tasks if "LightGBM" not in published.get((t.title, metrics[t.kind]), {})] == []
