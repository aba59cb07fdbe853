"""A snapshot goes in, the prediction table's rows come out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from asking import Double

from dbt_rfm.model.examples import feature_table, label_array
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.prediction_rows import prediction_rows
from dbt_rfm.model.step import run_step
from dbt_rfm.snapshot import Feature, Snapshot
from dbt_rfm.task_kind import TaskKind

SPLITS = ["context", "context", "query", "query", "backtest_context", "backtest"]
LABELS = {
    TaskKind.BINARY: pa.array([True, False, None, None, True, False]),
    TaskKind.MULTICLASS: pa.array(["a", "b", None, None, "a", "c"]),
    TaskKind.REGRESSION: pa.array([1.0, 2.0, None, None, 3.0, 4.0]),
}
CLASSES = {TaskKind.BINARY: ("false", "true"), TaskKind.MULTICLASS: ("a", "b", "c"), TaskKind.REGRESSION: ()}


def snapshot(kind: TaskKind) -> Snapshot:
    times = [datetime(2024, month, 1) for month in (1, 1, 3, 3, 1, 2)]
    return Snapshot(
        query="PREDICT …",
        kind=kind,
        classes=CLASSES[kind],
        entity="customer_id",
        anchor=datetime(2024, 3, 1),
        schema_fingerprint="",
        features_meta=(Feature("size", "numerical", "own"), Feature("colour", "categorical", "own")),
        examples=pa.table(
            {
                "example_id": range(6),
                "split": SPLITS,
                "entity": pa.array([1, 2, 7, 8, 1, 2], type=pa.int32()),
                "anchor_time": pa.array(times, type=pa.timestamp("us")),
                "label": LABELS[kind],
            }
        ),
        features=pa.table(
            {"example_id": range(6), "size": [1.0, None, 3.0, 4.0, 5.0, 6.0], "colour": ["r", None, "g", "g", "r", "g"]}
        ),
    )


class Recorder(Double):
    """A model that notes what it is given and answers evenly."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def predict(self, context: FeatureTable, labels, query: FeatureTable, kind, classes, **also) -> Predictions:
        self.calls.append((context, labels, query, also))
        rows = query.num_rows
        if kind == TaskKind.REGRESSION:
            quantiles = np.tile([0.0, 1.0, 2.0], (rows, 1))
            return Predictions(kind, (), mean=np.full(rows, 1.5), levels=(0.1, 0.5, 0.9), quantiles=quantiles)
        return Predictions(kind, classes, probabilities=np.full((rows, len(classes)), 1 / len(classes)))


def test__run_step__each_split__reads_its_own_context_only() -> None:
    model = Recorder()
    result = run_step(snapshot(TaskKind.BINARY), model, seed=3)
    (context, labels, query, also), (older, older_labels, backtest, _) = model.calls
    assert context.columns[0][0] == 1.0 and np.isnan(context.columns[0][1])
    assert list(context.columns[1]) == ["r", None]
    assert (labels.tolist(), older_labels.tolist()) == ([1, 0], [1])
    assert (query.num_rows, older.num_rows, backtest.num_rows) == (2, 1, 1)
    assert also["seed"] == 3 and len(also["times"]) == 2
    assert result.query is not None and result.query.num_rows == 2


def test__run_step__no_backtest_rows__gives_none() -> None:
    whole = snapshot(TaskKind.BINARY)
    kept = pa.array([0, 1, 2, 3])
    smaller = Snapshot(
        **{**whole.__dict__, "examples": whole.examples.take(kept), "features": whole.features.take(kept)}
    )
    assert run_step(smaller, Recorder(), seed=0).backtest is None


def test__run_step__context_favours_a_rare_class__probabilities_speak_of_the_world() -> None:
    bundle = snapshot(TaskKind.BINARY)  # the context shows one of each, the model answers evenly
    rare = replace(bundle, label_shares={"context": {"false": 0.99, "true": 0.01}})
    (plain, told) = (run_step(b, Recorder(), seed=0).query for b in (bundle, rare))
    assert plain is not None and np.allclose(plain.probabilities, 0.5)
    assert told is not None and np.allclose(told.probabilities, [[0.99, 0.01]] * 2)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (TaskKind.BINARY, ["customer_id", "anchor_time", "probability", "prediction"]),
        (TaskKind.MULTICLASS, ["customer_id", "anchor_time", "class", "probability", "rank"]),
        (TaskKind.REGRESSION, ["customer_id", "anchor_time", "prediction", "p10", "p50", "p90"]),
    ],
)
def test__prediction_rows__of_each_kind__have_its_columns_and_the_key_s_type(kind: TaskKind, columns: list) -> None:
    bundle = snapshot(kind)
    rows = prediction_rows(bundle, run_step(bundle, Recorder(), seed=0).query)
    assert rows.column_names == columns
    assert rows.schema.field("customer_id").type == pa.int32()
    assert set(rows.column("customer_id").to_pylist()) == {7, 8}
    empty = prediction_rows(bundle, None)
    assert empty.schema == rows.schema if kind != TaskKind.MULTICLASS else empty.column_names == rows.column_names


def test__prediction_rows__multiclass__ranks_the_likeliest_first() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    predictions = Predictions(TaskKind.MULTICLASS, ("a", "b", "c"), probabilities=probabilities)
    rows = prediction_rows(snapshot(TaskKind.MULTICLASS), predictions).to_pylist()
    assert [(r["customer_id"], r["class"], r["rank"]) for r in rows] == [
        (7, "b", 1),
        (7, "c", 2),
        (7, "a", 3),
        (8, "a", 1),
        (8, "c", 2),
        (8, "b", 3),
    ]


def test__label_array__of_each_kind__is_what_the_model_takes() -> None:
    rows = np.array([0, 1])
    assert label_array(snapshot(TaskKind.MULTICLASS), rows).tolist() == [0, 1]
    assert label_array(snapshot(TaskKind.REGRESSION), rows).tolist() == [1.0, 2.0]
    assert feature_table(snapshot(TaskKind.BINARY)).kinds == ("numerical", "categorical")
