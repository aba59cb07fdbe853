"""Model auto: the model that is best on a closed window takes the question, and says against whom it won."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from asking import Double

from dbt_rfm.answer import auto
from dbt_rfm.answer.auto import choose
from dbt_rfm.errors import DataError, ModelError, ProjectError
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.options import Options
from dbt_rfm.snapshot import Feature, Snapshot
from dbt_rfm.task_kind import TaskKind

A = datetime(2024, 7, 1)
OPTIONS = Options(model="auto", auto={"minutes": 1})


class Follows(Double):
    """Says that the label is true where a feature is large."""

    def __init__(self, name: str, sign: float, seen: list) -> None:
        self.name, self.sign, self.seen = name, sign, seen

    def predict(self, context: FeatureTable, labels, query: FeatureTable, kind, classes, **also) -> Predictions:
        self.seen.append((context, query))
        positive = 1 / (1 + np.exp(-self.sign * query.columns[0]))
        return Predictions(kind, classes, probabilities=np.stack([1 - positive, positive], axis=1))


def snapshot(**changes: object) -> Snapshot:
    """Ten windows of 20 examples; the label is true where the feature is. The newest window is the backtest."""
    count, rng = 200, np.random.default_rng(0)
    window = np.arange(count) // 20
    value = rng.normal(size=count)
    given = {
        "query": "",
        "kind": TaskKind.BINARY,
        "classes": ("false", "true"),
        "entity": "id",
        "anchor": A,
        "schema_fingerprint": "",
        "features_meta": (Feature("value", "numerical", "own"),),
        "examples": pa.table(
            {
                "example_id": np.arange(count),
                "split": np.where(window == 9, "backtest", "backtest_context").tolist(),
                "entity": np.arange(count),
                "anchor_time": [A - timedelta(days=30 * int(9 - w)) for w in window],
                "label": value > 0,
            }
        ),
        "features": pa.table({"example_id": np.arange(count), "value": value}),
    }
    return Snapshot(**(given | changes))


@pytest.fixture()
def seen(monkeypatch: pytest.MonkeyPatch) -> list:
    """Two models: `rfm` is always wrong, `kumo` always right."""
    seen: list = []
    tried = {"wrong": {"model": "rfm"}, "right": {"model": "kumo"}}
    monkeypatch.setattr(auto, "candidates", lambda minutes: tried)
    monkeypatch.setattr(auto, "reads_rows", lambda name: False)
    models = {"rfm": -1.0, "kumo": 1.0}
    monkeypatch.setattr(auto, "load_model", lambda name, *_: Follows(name, models[name], seen))
    return seen


def run(found: Snapshot, options: Options = OPTIONS) -> tuple[Options, tuple[str, ...]]:
    return choose(found, options, progress=lambda stage: None)


def test__auto__the_best_on_the_closed_window__is_taken(seen) -> None:
    options, told = run(snapshot())
    assert options.model == "kumo"
    assert told[0].startswith("auto took right, tried on 40 closed examples with 140 older ones")
    assert [line.split(",")[0] for line in told[1:]] == ["  wrong: auroc 0", "  right: auroc 1"]


def test__auto__where_less_is_better__the_least_is_taken(seen, monkeypatch) -> None:
    class Numbers(Follows):
        def predict(self, context, labels, query, kind, classes, **also) -> Predictions:
            found = self.sign * query.columns[0]
            return Predictions(kind, (), mean=found, levels=(0.1, 0.5, 0.9), quantiles=np.stack([found] * 3, axis=1))

    monkeypatch.setattr(auto, "load_model", lambda name, *_: Numbers(name, {"rfm": -1.0, "kumo": 1.0}[name], seen))
    plain = snapshot()
    labels = plain.features["value"]
    examples = plain.examples.set_column(4, "label", labels)
    options, told = run(replace(plain, kind=TaskKind.REGRESSION, classes=(), examples=examples))
    assert options.model == "kumo" and told[2].startswith("  right: mae 0,")


def test__auto__the_window_of_the_backtest__has_no_part_in_the_choice(seen) -> None:
    plain = snapshot()
    tested = np.array([s == "backtest" for s in plain.examples["split"].to_pylist()])
    moved = np.where(tested, 1e6, plain.features["value"].to_numpy())
    run(plain)
    run(replace(plain, features=pa.table({"example_id": plain.features["example_id"], "value": moved})))
    first, second = [[np.concatenate(t.columns) for t in pair] for pair in (seen[0], seen[2])]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test__auto__what_is_asked__is_newer_than_what_is_learnt_from(seen) -> None:
    plain = snapshot()
    run(plain)
    context, query = (t.columns[0] for t in seen[0])
    time_of = dict(zip(plain.features["value"].to_pylist(), plain.examples["anchor_time"].to_pylist(), strict=True))
    assert max(time_of[v] for v in context) < min(time_of[v] for v in query)


def test__auto__a_model_that_cannot_answer__is_told_and_passed_over(seen, monkeypatch) -> None:
    def load(name: str, *_: object) -> Follows:
        if name == "rfm":
            raise ModelError("its weights cannot be had", hint="Fetch them.")
        return Follows(name, 1.0, seen)

    monkeypatch.setattr(auto, "load_model", load)
    options, told = run(snapshot())
    assert options.model == "kumo"
    assert told[1] == "  wrong: not tried: its weights cannot be had"


def test__auto__time_is_over__tries_no_further_one(seen) -> None:
    options, told = run(snapshot(), replace(OPTIONS, auto={"minutes": 1e-9}))
    assert options.model == "rfm"
    assert told[2] == "  right: not tried: the 1e-09 minutes were over"


def test__auto__nobody_can_answer__is_one_error(monkeypatch, seen) -> None:
    def load(name: str, *_: object) -> Follows:
        raise ModelError(f"{name} is not here")

    monkeypatch.setattr(auto, "load_model", load)
    with pytest.raises(DataError, match="no model could be tried: wrong: rfm is not here; right: kumo is not here"):
        run(snapshot())


def test__auto__readers_of_rows_without_rows__are_passed_over(seen, monkeypatch) -> None:
    monkeypatch.setattr(auto, "reads_rows", lambda name: name == "kumo")
    options, told = run(snapshot())
    assert options.model == "rfm" and "too many to bring the rows" in told[2]


@pytest.mark.parametrize("kind", [TaskKind.LINK, TaskKind.FORECAST])
def test__auto__lists_and_forecasts__are_the_bundled_models(seen, kind: TaskKind) -> None:
    options, told = run(snapshot(kind=kind))
    assert options.model == "rfm" and not seen
    assert told == (f"auto took rfm: models are compared for yes or no, classes and numbers, not for a {kind}",)


def test__auto__few_examples__are_the_bundled_models(seen) -> None:
    plain = snapshot()
    few = replace(plain, examples=plain.examples.slice(150), features=plain.features.slice(150))
    options, told = run(few)
    assert options.model == "rfm" and told == ("auto took rfm: there are too few closed examples to compare models on",)


def test__options__auto__takes_minutes_and_no_options_of_one_model() -> None:
    assert Options.read({"model": "auto", "auto": {"minutes": 5}}).auto == {"minutes": 5}
    with pytest.raises(ProjectError, match="auto is"):
        Options.read({"model": "auto", "auto": {"hours": 5}})
    with pytest.raises(ProjectError, match="each with its own options"):
        Options.read({"model": "auto", "fine_tune": {"minutes": 2}})
