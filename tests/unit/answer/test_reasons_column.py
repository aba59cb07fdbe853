"""The column of reasons: of the strongest answers, in the rows they belong to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from asking import Double

from dbt_rfm.answer.reasons_column import with_reasons
from dbt_rfm.evaluate.backtest import point_prediction
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.prediction_rows import prediction_rows
from dbt_rfm.model.step import learn
from dbt_rfm.snapshot import CONTEXT, QUERY, Feature, Snapshot
from dbt_rfm.task_kind import TaskKind

SIZES = [3.0, 9.0, 1.0, 8.0]
CLASSES = {TaskKind.BINARY: ("false", "true"), TaskKind.MULTICLASS: ("a", "b", "c"), TaskKind.REGRESSION: ()}
LABELS = {TaskKind.BINARY: [True, False], TaskKind.MULTICLASS: ["a", "b"], TaskKind.REGRESSION: [1.0, 2.0]}


def snapshot(kind: TaskKind, reasons: int) -> Snapshot:
    rows = 6 + len(SIZES)
    return Snapshot(
        query="PREDICT …",
        kind=kind,
        classes=CLASSES[kind],
        entity="customer_id",
        anchor=datetime(2024, 3, 1),
        schema_fingerprint="",
        features_meta=(Feature("size", "numerical", "own"),),
        examples=pa.table(
            {
                "example_id": range(rows),
                "split": [CONTEXT] * 6 + [QUERY] * len(SIZES),
                "entity": range(rows),
                "anchor_time": pa.array([datetime(2024, 2, 1)] * rows),
                "label": pa.array(LABELS[kind] * 3 + [None] * len(SIZES)),
            }
        ),
        features=pa.table({"example_id": range(rows), "size": [0.0, 2.0, 4.0, 5.0, 6.0, 7.0, *SIZES]}),
        options={"seed": 0, **({"reasons": reasons} if reasons else {})},
    )


class BySize(Double):
    def predict(self, context: FeatureTable, labels, query: FeatureTable, kind, classes, **_: object) -> Predictions:
        share = query.columns[0] / 10
        if kind == TaskKind.REGRESSION:
            return point_prediction(share, share)
        others = [(1 - share) / (len(classes) - 1)] * (len(classes) - 1)
        return Predictions(kind, classes, probabilities=np.column_stack([*others, share]))


def rows_of(bundle: Snapshot, *, with_rows: bool = False) -> pa.Table:
    learnt = learn(bundle, BySize(), CONTEXT, seed=0)
    said = learnt.answer(bundle, QUERY)
    return with_reasons(prediction_rows(bundle, said), bundle, said, replace(learnt, with_rows=with_rows), bundle)


@pytest.mark.parametrize("kind", CLASSES)
def test__reasons__of_so_many__the_strongest_answers_have_them(kind: TaskKind) -> None:
    rows = rows_of(snapshot(kind, 2))
    told = {row["customer_id"]: row for row in rows.to_pylist() if row["reasons"] is not None}
    assert list(told) == [7, 9]  # the sizes 9 and 8
    assert all(row.get("rank", 1) == 1 for row in told.values())
    (reason,) = json.loads(told[7]["reasons"])
    assert (reason["about"], reason["feature"], reason["value"]) == ("size", "size", 9.0)
    assert reason["effect"] > 0


def test__reasons__more_than_there_are_answers__all_have_them() -> None:
    assert rows_of(snapshot(TaskKind.BINARY, 50))["reasons"].null_count == 0


def test__reasons__many__are_told_of_and_may_be_ended_between() -> None:
    bundle = snapshot(TaskKind.BINARY, 9)
    learnt = learn(bundle, BySize(), CONTEXT, seed=0)
    said, stages = learnt.answer(bundle, QUERY), list[str]()
    with_reasons(prediction_rows(bundle, said), bundle, said, learnt, bundle, progress=stages.append)
    assert stages == ["looking for reasons: 0 of 4 found"]


def test__reasons__in_two_goes__are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = rows_of(snapshot(TaskKind.BINARY, 9))
    monkeypatch.setattr("dbt_rfm.answer.reasons_column.AT_ONCE", 3)
    assert rows_of(snapshot(TaskKind.BINARY, 9)).equals(at_once)


def test__reasons__option_not_given__no_column() -> None:
    assert "reasons" not in rows_of(snapshot(TaskKind.BINARY, 0)).column_names


def test__reasons__model_that_reads_rows__the_column_is_there_and_empty() -> None:
    assert rows_of(snapshot(TaskKind.BINARY, 2), with_rows=True)["reasons"].null_count == len(SIZES)
