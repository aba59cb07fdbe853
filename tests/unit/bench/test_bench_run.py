"""The runner on the tiny suite, with a model that needs no weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asking import OwnHistory

from dbt_rfm import metrics as m
from dbt_rfm.bench import peers
from dbt_rfm.bench.report import as_json, interval_lines, table_rows
from dbt_rfm.bench.run import Result, Settings, Skipped, run_dataset
from dbt_rfm.bench.suite import read_suite
from dbt_rfm.cli import main
from dbt_rfm.errors import RfmError
from dbt_rfm.model import load_model
from dbt_rfm.model.interface import Predictions
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB


class ReadsRows(OwnHistory):
    """Says for every row how many rows of another table came along."""

    reads_rows = True

    def predict(self, context, labels, query, kind, classes, **_: object) -> Predictions:
        self.context = context.rows
        counts = [np.bincount(t.example, minlength=query.num_rows) for n, t in query.rows.tables.items()]
        value = sum(counts).astype(float)
        share = value / value.max()
        if kind == TaskKind.REGRESSION:
            return Predictions(kind, (), mean=value, levels=(0.1, 0.9), quantiles=np.stack([value, value], axis=1))
        return Predictions(kind, classes, probabilities=np.stack([1 - share, share], axis=1))


def _run(suite: Path, **changed: object) -> list[Result | Skipped]:
    settings = replace(Settings(model="own", split="test", context=200), **changed)
    (dataset,) = read_suite(suite)
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        return run_dataset(dataset, warehouse, OwnHistory(), settings)


@pytest.fixture(scope="module")
def found(suite: Path) -> list[Result | Skipped]:
    return _run(suite)


def test__run_dataset__every_executed_task__model_and_baselines_on_the_same_rows(found) -> None:
    results = [r for r in found if isinstance(r, Result)]
    names = [(r.task, r.model) for r in results]
    models = ("own", "constant", "entity history")
    assert names == [(task, model) for task in ("comes_back", "spend") for model in models]
    assert {r.rows for r in results} == {120} and {r.context for r in results} == {200}
    by_model = {r.model: r.metrics for r in results if r.task == "comes_back"}
    assert by_model["constant"]["auroc"] == 0.5
    assert by_model["own"]["auroc"] > 0.6 and by_model["entity history"]["auroc"] > 0.6


def test__run_dataset__kind_not_executed__is_skipped_by_name(found) -> None:
    (skipped,) = [r for r in found if isinstance(r, Skipped)]
    assert (skipped.task, skipped.kind) == ("next_item", "survival") and "not executed" in skipped.reason


def test__run_dataset__same_seed__same_figures(suite: Path, found) -> None:
    again = [r.metrics for r in _run(suite) if isinstance(r, Result)]
    assert again == [r.metrics for r in found if isinstance(r, Result)]


def test__run_dataset__frozen__sees_fewer_past_labels_than_rolling(suite: Path, found) -> None:
    frozen = [r for r in _run(suite, protocol="frozen") if isinstance(r, Result) and r.model == "own"]
    rolling = [r for r in found if isinstance(r, Result) and r.model == "own"]
    assert [r.rows for r in frozen] == [r.rows for r in rolling]
    assert frozen[1].metrics["mae"] != rolling[1].metrics["mae"]


def test__run_dataset__rows__asks_a_seeded_part(suite: Path) -> None:
    first, again, other = (
        [r.metrics for r in _run(suite, rows=50, seeds=(seed,)) if isinstance(r, Result)] for seed in (1, 1, 2)
    )
    assert first == again and first != other


def test__run_dataset__peers_and_intervals__compare_paired(suite: Path) -> None:
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    results = [r for r in _run(suite, with_peers=True, resamples=100) if isinstance(r, Result)]
    own = results[0]
    assert [r.model for r in results[:5]] == ["own", "constant", "entity history", "lightgbm", "linear"]
    assert own.interval[0] < own.metrics["auroc"] < own.interval[1]
    assert own.minus["constant"][0] > 0 and set(own.minus) == {r.model for r in results[1:5]}
    assert all(r.metrics["auroc"] > 0.55 for r in results[3:5])
    assert "own minus constant [" in interval_lines(results)[0]


def test__entity_history__unknown_entity__gets_the_constant() -> None:
    import pyarrow as pa

    labels = np.array([1.0, 1.0, 0.0, 0.0])
    pool, asked = pa.chunked_array([[1, 1, 2, 2]]), pa.chunked_array([[1, 2, 9]])
    binary = peers.entity_history(pool, labels, asked, TaskKind.BINARY, ("false", "true"))
    assert binary.probabilities[:, 1].tolist() == [1.0, 0.0, 0.5]
    number = peers.entity_history(pool, np.array([1.0, 3.0, 8.0, 8.0]), asked, TaskKind.REGRESSION, ())
    assert number.mean.tolist() == [2.0, 8.0, 5.0] and number.quantile(0.5).tolist() == [2.0, 8.0, 5.5]


def test__constant__regression__is_the_median_and_the_mean() -> None:
    constant = peers.constant(np.array([0.0, 0.0, 9.0]), 2, TaskKind.REGRESSION, ())
    assert constant.mean.tolist() == [3.0, 3.0] and constant.quantile(0.5).tolist() == [0.0, 0.0]


def test__table_rows__published__stand_beside_ours_times_100(found) -> None:
    results = [r for r in found if isinstance(r, Result)]
    header, rows = table_rows(results, {("tiny.comes_back", "auroc"): {"LightGBM": 81.9}})
    assert header == ["task", "metric", "own", "constant", "entity history", "LightGBM (published)", "rows", "context"]
    first = dict(zip(header, rows[0], strict=True))
    assert first["constant"] == "50.0" and first["LightGBM (published)"] == "81.9"
    assert first["own"] == f"{100 * results[0].metrics['auroc']:.1f}"
    assert [row[1] for row in rows] == ["auroc", "ap", "mae", "rmse", "spearman"]


def test__as_json__result__has_the_promised_fields(found) -> None:
    entry = as_json([r for r in found if isinstance(r, Result)])[0]
    identity = {"dataset", "task", "kind", "protocol", "model", "split", "seed"}
    assert identity | {"metrics", "rows", "context", "seconds", "peak_mb"} <= set(entry)
    assert entry["metrics"]["auroc"] <= 1 and set(entry["seconds"]) == {"plan", "model"}


def test__bench_command__tiny_suite__writes_json_and_reports_the_skipped(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dbt_rfm.model.load_model", lambda *_: OwnHistory())
    file = tmp_path / "results.json"
    with pytest.raises(SystemExit) as left:
        main(["bench", str(suite), "--json", str(file), "--seed", "0", "--seed", "1", "--context", "50"])
    shown = capsys.readouterr().out
    assert left.value.code == 0 and "skipped tiny.next_item" in shown and "rolling protocol, val split" in shown
    assert {(e["task"], e["seed"]) for e in json.loads(file.read_text())} == {
        ("comes_back", 0), ("comes_back", 1), ("spend", 0), ("spend", 1)
    }  # fmt: skip
    assert "±" in shown


def test__run_dataset__a_model_that_reads_rows__gets_as_many_as_asked_for(suite: Path) -> None:
    def rows_of(neighbors: tuple[int, ...]) -> int:
        model, settings = ReadsRows(), Settings(model="own", split="test", context=50, neighbors=neighbors)
        (dataset,) = read_suite(suite)
        with DuckDB.open(":memory:", read_only=False) as warehouse:
            run_dataset(dataset, warehouse, model, settings)
        return model.context.tables["orders"].num_rows

    assert rows_of((1,)) <= 50 < rows_of((6,))


def test__bench_command__options_of_the_model__are_read_as_yaml(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []
    monkeypatch.setattr("dbt_rfm.model.load_model", lambda *each: given.append(each) or OwnHistory())
    with pytest.raises(SystemExit):
        main(["bench", str(suite), "--context", "50", "--option", "minutes=1.5", "--option", "features=true"])
    assert given == [("rfm", "cpu", {"context_size": 50, "minutes": 1.5, "features": True})]
    with pytest.raises(SystemExit) as left:
        main(["bench", str(suite), "--option", "minutes"])
    assert left.value.code == 1 and "NAME=VALUE" in capsys.readouterr().err


def test__bench_command__more_context_than_the_model_reads__is_refused(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["bench", str(suite), "--context", "200000"])
    assert left.value.code == 1 and "reads at most 100000" in capsys.readouterr().err


def test__bench_command__unreadable_weights__ends_with_1(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RfmError("no weights here")

    monkeypatch.setattr("dbt_rfm.model.load_model", fail)
    with pytest.raises(SystemExit) as left:
        main(["bench", str(suite)])
    assert left.value.code == 1 and capsys.readouterr().err == "no weights here\n"


def test__nan_figures__mean_no_number_in_print(found) -> None:
    results = [r for r in found if isinstance(r, Result)]
    undefined = replace(results[0], metrics={**results[0].metrics, "auroc": m.NAN})
    _, rows = table_rows([undefined], {})
    assert rows[0][2] == "–"


def test__run_dataset__fine_tune__stands_beside_the_model_on_the_same_rows(suite: Path) -> None:
    model = load_model("rfm", options={"context_size": 200, "attended": 64, "columns": 8})
    settings = Settings(split="test", context=200, fine_tune=0.01)
    (dataset,) = read_suite(suite)
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        found = [r for r in run_dataset(dataset, warehouse, model, settings) if isinstance(r, Result)]
    rows = {(r.task, r.model): r.rows for r in found}
    tuned = [task for task, name in rows if name == "rfm, fine-tuned"]
    assert tuned and all(rows[task, "rfm, fine-tuned"] == rows[task, "rfm"] for task in tuned)


def test__bench_command__fine_tune_of_a_model_that_is_not__is_refused(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["bench", str(suite), "--model", "kumo", "--fine-tune", "1"])
    assert "--fine-tune 1: the model kumo is not fine-tuned" in capsys.readouterr().err
