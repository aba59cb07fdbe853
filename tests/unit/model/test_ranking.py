from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from asking import Double

from dbt_rfm.model import ranking
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.prediction_rows import ranked_rows
from dbt_rfm.model.ranking import depth_for, places_in, prepare_ranking
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind


class Fixed(Double):
    """Gives every pair the probability in its column `truth`, and remembers how many it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, context, labels, query: FeatureTable, kind: TaskKind, classes, **_: object) -> Predictions:
        self.asked += query.num_rows
        true = query.columns[query.names.index("truth")]
        return Predictions(kind, classes, probabilities=np.stack([1 - true, true], axis=1))


def pairs(number: int, seed: int = 0) -> tuple[FeatureTable, np.ndarray]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=number)
    truth = 1 / (1 + np.exp(-signal))
    table = FeatureTable(("signal", "truth"), ("numerical", "numerical"), (signal, np.clip(truth, 0.01, 0.99)))
    return table, (rng.random(number) < truth).astype(np.int64)


def ranked(model: Fixed, groups: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    context, drawn = pairs(400, seed=1)
    asked, _ = pairs(len(groups), seed=2)
    given = drawn if labels is None else labels
    found = prepare_ranking(model, context, given, number=12, seed=0, times=np.zeros(400)).answer(asked, groups)
    assert found.probabilities is not None and found.kind is TaskKind.LINK
    return found.probabilities[:, 1]


def test__ranking__many_candidates__the_model_reads_the_best_of_each_group(monkeypatch) -> None:
    monkeypatch.setattr(ranking, "MAX_DEPTH", 10)
    model, groups = Fixed(), np.repeat(np.arange(3), 30)

    score = ranked(model, groups)

    assert model.asked == 3 * 10
    signal = pairs(90, seed=2)[0].columns[0]
    for group in range(3):
        mine = groups == group
        best = np.argsort(-signal[mine])
        # the first reading and the model agree here, so what is read goes by the signal, and none overtakes it
        assert np.array_equal(np.argsort(-score[mine], kind="stable")[:10], best[:10])
        assert score[mine][best[10:]].max() <= score[mine][best[9]]
        assert (score[mine] > 0).all() and (score[mine] < 1).all()


def test__ranking__labels_of_one_kind__everybody_gets_the_same() -> None:
    model = Fixed()

    score = ranked(model, np.zeros(5, dtype=int), labels=np.zeros(400, dtype=np.int64))

    assert model.asked == 0 and len(set(score.tolist())) == 1 and 0 < score[0] < 0.01


def test__depth__more_groups__get_less_each_but_never_less_than_ten() -> None:
    assert [depth_for(n, 12) for n in (0, 1, 2000, 100_000)] == [24, 24, 20, 10]
    assert [depth_for(1, k) for k in (1, 5, 1000)] == [10, 10, 30]


def test__places__ties_and_unsorted_groups__are_counted_within_each() -> None:
    assert places_in(np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.9, 0.5, 0.5, 0.7])).tolist() == [1, 0, 1, 2, 0]
    assert places_in(np.zeros(0, dtype=int), np.zeros(0)).tolist() == []


def snapshot(number: int, item: str = "sku") -> Snapshot:
    return Snapshot(
        query="",
        kind=TaskKind.LINK,
        classes=("false", "true"),
        entity="name",
        anchor=datetime(2024, 1, 1),
        schema_fingerprint="",
        features_meta=(),
        examples=pa.table(
            {
                "split": ["query"] * 5,
                "entity": ["ann", "ann", "ann", "bob", "bob"],
                "anchor_time": pa.array([datetime(2024, 1, 1)] * 5, pa.timestamp("us")),
                "item": ["tea", "milk", "jam", "tea", "jam"],
            }
        ),
        features=pa.table({}),
        ranking={"item": item, "number": number, "items": 3},
    )


def of(score: list[float]) -> Predictions:
    true = np.array(score)
    return Predictions(TaskKind.LINK, ("false", "true"), probabilities=np.stack([1 - true, true], axis=1))


def test__ranked_rows__top_two__best_first_per_entity() -> None:
    rows = ranked_rows(snapshot(2), np.arange(5), of([0.2, 0.9, 0.5, 0.1, 0.3])).to_pylist()

    assert [(r["name"], r["sku"], r["rank"], r["score"]) for r in rows] == [
        ("ann", "milk", 1, 0.9),
        ("ann", "jam", 2, 0.5),
        ("bob", "jam", 1, 0.3),
        ("bob", "tea", 2, 0.1),
    ]


def test__ranked_rows__nothing_predicted__has_the_columns_and_no_rows() -> None:
    rows = ranked_rows(snapshot(2), np.arange(5), None)

    assert rows.column_names == ["name", "anchor_time", "sku", "score", "rank"] and len(rows) == 0


@pytest.mark.parametrize("name", ["name", "Rank"])
def test__ranked_rows__item_key_named_like_another_column__is_told_apart(name: str) -> None:
    assert ranked_rows(snapshot(2, item=name), np.arange(5), None).column_names[2] == f"item_{name}"
