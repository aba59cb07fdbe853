"""Why an answer is what it is: effects that add up, of what the model reads, beside the usual answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from asking import Double

from dbt_rfm.errors import ModelError
from dbt_rfm.evaluate.backtest import point_prediction
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.reasons import Explanation, explain, group_name, on_average
from dbt_rfm.model.step import learn
from dbt_rfm.snapshot import CONTEXT, QUERY, Feature, Snapshot
from dbt_rfm.task_kind import TaskKind

PAST, ASKED = 300, 2
FEATURES = (
    Feature("customers.region", "categorical", "own", "customers"),
    Feature("orders.count.30d", "numerical", "child", "orders"),
    Feature("orders.recency", "numerical", "child", "orders"),
    Feature("orders.amount.mean.90d", "numerical", "child", "orders"),
    Feature("tickets.count.90d", "numerical", "child", "tickets"),
)


class Formula(Double):
    """Answers by a formula of the features; a missing number is 0."""

    def __init__(self, formula: Callable[[dict[str, np.ndarray]], np.ndarray]) -> None:
        self.formula = formula

    def predict(self, context: FeatureTable, labels, query: FeatureTable, kind, classes, **_: object) -> Predictions:
        columns = (c if c.dtype == object else np.nan_to_num(c) for c in query.columns)
        said = self.formula(dict(zip(query.names, columns, strict=True)))
        if kind == TaskKind.REGRESSION:
            return point_prediction(said, said)
        shares = np.column_stack([1 - said, said]) if said.ndim == 1 else said
        return Predictions(kind, classes, probabilities=shares)


def snapshot(kind: TaskKind = TaskKind.REGRESSION, classes: tuple[str, ...] = (), **first: object) -> Snapshot:
    """Past examples drawn at random, and two that are asked; `first` has features of the first of them."""
    draw, rows = np.random.default_rng(0), PAST + ASKED
    values: dict[str, list] = {
        f.name: list(draw.integers(0, 10, rows).astype(float)) if f.kind == "numerical" else ["north", "south"] * 151
        for f in FEATURES
    }
    for name, value in first.items():
        values[name][PAST] = value
    labels = [i % 2 == 0 for i in range(PAST)] if kind == TaskKind.BINARY else [1.0] * PAST
    if kind == TaskKind.MULTICLASS:
        labels = [classes[i % len(classes)] for i in range(PAST)]
    return Snapshot(
        query="PREDICT …",
        kind=kind,
        classes=classes,
        entity="customer_id",
        anchor=datetime(2024, 3, 1),
        schema_fingerprint="",
        features_meta=FEATURES,
        examples=pa.table(
            {
                "example_id": range(rows),
                "split": [CONTEXT] * PAST + [QUERY] * ASKED,
                "entity": range(rows),
                "anchor_time": pa.array([datetime(2024, 2, 1)] * PAST + [datetime(2024, 3, 1)] * ASKED),
                "label": pa.array([*labels, None, None]),
            }
        ),
        features=pa.table({"example_id": range(rows), **values}),
    )


def said(bundle: Snapshot, formula, rows=(0,), **also) -> list[Explanation]:
    return explain(bundle, learn(bundle, Formula(formula), CONTEXT, seed=0), rows, **also)


def effects(explanation: Explanation) -> dict[str, float]:
    return {reason.about: reason.effect for reason in explanation.reasons}


def all_of_them(f: dict[str, np.ndarray]) -> np.ndarray:
    """Two that act together, one alone, and a category."""
    together = f["orders.count.30d"] * f["tickets.count.90d"]
    return together + 5 * f["orders.amount.mean.90d"] + 20 * (f["customers.region"] == "south")


def test__explain__every_group_named__effects_add_up_from_the_usual_answer_to_the_answer() -> None:
    (one,) = said(snapshot(), all_of_them, most=99)
    assert one.usual + sum(effects(one).values()) == pytest.approx(one.answer)
    assert one.rest == pytest.approx(0, abs=1e-9)
    assert len(one.reasons) == 4


def test__explain__some_groups_named__the_rest_is_told_as_one() -> None:
    (one,) = said(snapshot(), all_of_them, most=2)
    strongest = said(snapshot(), all_of_them, most=99)[0].reasons[:2]
    assert one.reasons == strongest
    assert one.usual + sum(effects(one).values()) + one.rest == pytest.approx(one.answer)


def test__explain__answer_of_all_alike__the_usual_one_is_the_mean_of_past_answers() -> None:
    bundle = snapshot()
    amounts = np.array(bundle.features["orders.amount.mean.90d"].to_pylist()[:PAST])
    (one,) = said(bundle, lambda f: f["orders.amount.mean.90d"])
    assert one.usual == pytest.approx(amounts.mean(), abs=0.3)
    assert one.answer == bundle.features["orders.amount.mean.90d"][PAST].as_py()


def test__explain__what_no_answer_hangs_on__is_no_reason() -> None:
    (one,) = said(snapshot(**{"orders.recency": 9.0}), lambda f: f["orders.recency"])
    assert list(effects(one)) == ["orders"]
    assert one.rest == pytest.approx(0, abs=1e-12)


def test__explain__several_features_of_one_thing__are_one_reason_that_names_the_one_that_weighs_most() -> None:
    bundle = snapshot(**{"orders.recency": 9.0, "orders.count.30d": 9.0})
    (one,) = said(bundle, lambda f: 10 * f["orders.recency"] + 1 * f["orders.count.30d"])
    (reason,) = one.reasons
    assert (reason.about, reason.feature, reason.value) == ("orders", "orders.recency", 9.0)
    assert 4 <= reason.usual <= 5 and reason.effect > 0


def test__explain__feature_that_is_as_usual__another_of_the_group_is_named() -> None:
    bundle = snapshot(**{"orders.count.30d": 9.0})
    usual = float(np.median(bundle.features["orders.recency"].to_pylist()[:PAST]))
    bundle = snapshot(**{"orders.count.30d": 9.0, "orders.recency": usual})
    (one,) = said(bundle, lambda f: 10 * f["orders.recency"] + 1 * f["orders.count.30d"])
    assert one.reasons[0].feature == "orders.count.30d"


def test__explain__two_that_do_the_same__share_the_effect() -> None:
    bundle = snapshot(**{"orders.amount.mean.90d": 9.0, "tickets.count.90d": 9.0})
    copied = bundle.features.column("orders.amount.mean.90d")
    place = bundle.features.column_names.index("tickets.count.90d")
    alike = replace(bundle, features=bundle.features.set_column(place, "tickets.count.90d", copied))
    told = effects(said(alike, lambda f: np.maximum(f["orders.amount.mean.90d"], f["tickets.count.90d"]))[0])
    assert told["orders.amount"] == pytest.approx(told["tickets"], rel=0.25)


def test__explain__category_and_missing_number__have_their_values_and_the_usual_ones() -> None:
    bundle = snapshot(**{"customers.region": "south", "orders.recency": None})
    (one,) = said(bundle, lambda f: 3.0 * (f["customers.region"] == "south") - f["orders.recency"])
    told = {reason.about: reason for reason in one.reasons}
    assert told["customers.region"].value == "south" and told["customers.region"].usual in ("north", "south")
    assert told["orders"].value is None and told["orders"].usual > 0


def test__explain__rare_class_shown_more_often__the_usual_answer_is_that_of_the_world() -> None:
    bundle = snapshot(TaskKind.BINARY, ("false", "true"))
    place = bundle.features.column_names.index("tickets.count.90d")
    told = pa.chunked_array([pa.array([float(i % 2 == 0) for i in range(PAST)] + [1.0, 0.0])])
    bundle = replace(bundle, features=bundle.features.set_column(place, "tickets.count.90d", told))
    rare = replace(bundle, label_shares={CONTEXT: {"false": 0.9, "true": 0.1}})
    (plain,) = said(bundle, lambda f: 0.98 * f["tickets.count.90d"] + 0.01)
    (one,) = said(rare, lambda f: 0.98 * f["tickets.count.90d"] + 0.01)
    assert plain.usual == pytest.approx(0.5, abs=0.05)
    assert one.usual == pytest.approx(0.1, abs=0.06)


def test__on_average__answers_that_go_both_ways__the_size_of_their_effects() -> None:
    both = said(snapshot(), lambda f: 2 * f["orders.recency"] + 0 * f["tickets.count.90d"], rows=(0, 1), most=1)
    sizes = on_average(both)
    assert list(sizes) == ["orders"]
    assert sizes["orders"] == pytest.approx(np.mean([abs(one.answer - one.usual) for one in both]))


def test__explain__class__the_likeliest_one_s_probability_is_explained() -> None:
    bundle = snapshot(TaskKind.MULTICLASS, ("a", "b", "c"), **{"orders.recency": 9.0})

    def shares(f: dict[str, np.ndarray]) -> np.ndarray:
        share = f["orders.recency"] / 10
        return np.column_stack([0.1 * (1 - share), 0.9 * (1 - share), share])

    (one,) = said(bundle, shares)
    assert one.of_class == "c" and one.answer == pytest.approx(0.9)
    assert one.reasons[0].effect > 0


def test__explain__whoever_else_is_asked__the_same_reasons() -> None:
    together = said(snapshot(), all_of_them, rows=(0, 1), seed=3)
    assert together[1] == said(snapshot(), all_of_them, rows=(1,), seed=3)[0]
    assert said(snapshot(), all_of_them, rows=()) == []


@pytest.mark.parametrize("kind", [TaskKind.LINK, TaskKind.FORECAST])
def test__explain__lists_and_forecasts__say_that_they_have_no_reasons(kind: TaskKind) -> None:
    bundle = snapshot()
    learnt = learn(bundle, Formula(all_of_them), CONTEXT, seed=0)
    with pytest.raises(ModelError, match="lists and forecasts have none"):
        explain(replace(bundle, kind=kind), learnt, [0])


def test__explain__model_that_reads_rows__says_what_to_ask_instead() -> None:
    bundle = snapshot()
    learnt = replace(learn(bundle, Formula(all_of_them), CONTEXT, seed=0), with_rows=True)
    with pytest.raises(ModelError, match="Ask the same of the model rfm"):
        explain(bundle, learnt, [0])


@pytest.mark.parametrize(
    ("feature", "about"),
    [
        ("orders.count.30d", "orders"),
        ("orders.amount.last.deviations", "orders.amount"),
        ("orders.status=v1.5.count.all", "orders.status"),
        ("customers.signed_up_at.age", "customers.signed_up_at"),
        ("past.lag3", "past"),
        ("count", "count"),
    ],
)
def test__group_name__of_a_feature__is_what_it_tells_of(feature: str, about: str) -> None:
    assert group_name(feature) == about
