"""Forecasts on the scale of the entity, and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from asking import Double

from dbt_rfm.forecast_names import LEVEL, PLAN, RECENT, SERIES
from dbt_rfm.model.forecast import prepare_forecast
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.task_kind import TaskKind

LEVELS = (0.1, 0.5, 0.9)


@dataclass
class Constant(Double):
    """Says the same of every query, and remembers what it was asked."""

    value: float = 1.0
    seen: list = field(default_factory=list)

    def predict(self, context, labels, query, kind, classes, **more) -> Predictions:
        self.seen.append((context, labels, query, kind))
        rows = query.num_rows
        quantiles = np.tile(self.value + np.array([-0.5, 0.0, 0.5]), (rows, 1))
        return Predictions(kind, (), mean=np.full(rows, self.value), levels=LEVELS, quantiles=quantiles)


def series(levels: np.ndarray, **more: np.ndarray) -> tuple[FeatureTable, tuple[str, ...]]:
    columns = {RECENT: levels, LEVEL: levels, **more}
    table = FeatureTable(tuple(columns), ("numerical",) * len(columns), tuple(columns.values()))
    return table, (SERIES, SERIES, *("step" for _ in more))


def forecast(model: Constant, levels: np.ndarray, labels: np.ndarray, asked: int, **more: np.ndarray) -> Predictions:
    """The last `asked` rows are queries; windows end one after the other."""
    table, sources = series(levels, **more)
    rows = np.arange(len(levels))
    context, query = rows[: len(levels) - asked], rows[len(levels) - asked :]
    ready = prepare_forecast(model, table.take(context), sources, labels, seed=0, ends=context.astype(float))
    return ready.answer(table.take(query))


def test__forecast__level__is_divided_out_and_multiplied_back() -> None:
    """Four examples are too few to weigh scales: the entity's level and the mean of all, which is 10."""
    model = Constant()
    found = forecast(model, np.array([10.0, 10.0, 10.0, 10.0, 0.0, 90.0]), np.array([20.0, 40.0, 0.0, 10.0]), 2)
    ((_, labels, query, kind),) = model.seen
    assert kind == TaskKind.REGRESSION and found.kind == TaskKind.FORECAST
    assert labels.tolist() == [1.0, 2.0, 0.0, 0.5]
    assert query.columns[0].tolist() == [0.0, 0.9]
    assert query.names[-1] == "series.scale" and query.columns[-1].tolist() == [10.0, 100.0]
    assert found.mean.tolist() == [10.0, 100.0]
    assert found.quantile(0.9).tolist() == [15.0, 150.0]


def test__forecast__no_label_below_zero__none_is_forecast() -> None:
    levels = np.full(6, 10.0)
    assert forecast(Constant(-1.0), levels, np.array([0.0, 1.0, 2.0, 3.0]), 2).quantile(0.5).tolist() == [0.0, 0.0]
    with_loss = forecast(Constant(-1.0), levels, np.array([-1.0, 1.0, 2.0, 3.0]), 2)
    assert with_loss.quantile(0.5).tolist() == [-20.0, -20.0]


def test__forecast__nothing_but_zeros_before__has_a_scale() -> None:
    found = forecast(Constant(), np.zeros(6), np.zeros(4), 2)
    assert np.isfinite(found.mean).all()


def test__forecast__nobody_has_a_past_yet__labels_are_read_as_they_are() -> None:
    """The first windows of all: whoever is asked has a past by now, which those learnt from had not."""
    model = Constant(5.0)
    found = forecast(model, np.array([0.0] * 4 + [90.0] * 2), np.array([3.0, 9.0, 6.0, 2.0]), 2)
    assert model.seen[0][1].tolist() == [3.0, 9.0, 6.0, 2.0]
    assert found.mean.tolist() == [5.0, 5.0]


def test__forecast__series_that_begin__count_as_no_larger_than_those_with_a_past() -> None:
    """Five of 105 examples sell 300 after nothing, 30 times everybody's mean; the others twice their own at most."""
    levels = np.array([10.0] * 100 + [0.0] * 5 + [10.0])
    labels = np.array([*np.linspace(0, 20, 100), *[300.0] * 5])
    model = Constant()
    forecast(model, levels, labels, 1)
    ((_, scaled, query, _),) = model.seen
    scale = float(query.columns[-1][0])
    assert scaled[:100] == pytest.approx(labels[:100] / scale)
    assert scaled[100:] == pytest.approx(20 / scale)


def test__forecast__labels_are_whole__quantiles_are_and_the_mean_is_not() -> None:
    found = forecast(Constant(0.26), np.full(6, 10.0), np.array([3.0, 9.0, 6.0, 2.0]), 2)
    assert found.quantile(0.5).tolist() == [5.0, 5.0] and found.mean == pytest.approx(5.2)
    found = forecast(Constant(0.26), np.full(6, 10.0), np.array([3.5, 9.0, 6.0, 2.0]), 2)
    assert found.quantile(0.5) == pytest.approx(5.2)


def test__forecast__sizes_apart_and_steady__are_read_on_their_own_scale() -> None:
    """Labels are the entity's level times a factor that a feature tells; levels differ twentyfold."""
    rng = np.random.default_rng(0)
    rows = 400
    levels = np.exp(rng.uniform(0, 3, rows))
    season = rng.standard_normal(rows)
    labels = levels * np.exp(0.3 * season)
    model = Constant()
    forecast(model, levels, labels[:-20], 20, season=season)
    ((_, scaled, query, _),) = model.seen
    mean = levels[:-20].mean()
    assert query.columns[-1] == pytest.approx(levels[-20:] + 0.2 * mean)
    assert scaled == pytest.approx(labels[:-20] / (levels[:-20] + 0.2 * mean))


def test__forecast__noise_only__keeps_the_scale_near_that_of_all() -> None:
    rng = np.random.default_rng(0)
    levels = rng.exponential(5, 400)
    labels = rng.exponential(5, 400)
    model = Constant()
    forecast(model, levels, labels[:-20], 20)
    assert model.seen[0][2].columns[-1] == pytest.approx(levels[-20:] + levels[:-20].mean())


def test__forecast__level_says_nothing_of_the_label__is_not_divided_out() -> None:
    rng = np.random.default_rng(0)
    levels = np.exp(rng.uniform(0, 5, 400))
    season = rng.standard_normal(400)
    labels = 50 + 10 * season
    model = Constant()
    forecast(model, levels, labels[:-20], 20, season=season)
    assert np.unique(model.seen[0][2].columns[-1]).tolist() == pytest.approx([levels[:-20].mean()])


def with_levels(source: str, rows: int = 300) -> tuple[Constant, FeatureTable]:
    """Seventy columns say how large a series is, one that it is moved; what the model was given to read."""
    rng = np.random.default_rng(0)
    levels, moved = np.exp(rng.normal(0, 2, rows)), rng.integers(0, 2, rows).astype(float)
    more = {f"size{k}": levels * np.exp(rng.normal(0, 1.5, rows)) for k in range(70)} | {"moved": moved}
    table, sources = series(levels, **more)
    labels = levels * (1 + 0.3 * moved)
    model = Constant()
    sources = (*sources[:-1], source)
    ready = prepare_forecast(model, table, sources, labels, seed=0, ends=np.arange(rows).astype(float))
    ready.answer(table)
    return model, table


def test__forecast__plans__are_read_beside_the_columns_that_tell_most() -> None:
    model, table = with_levels(PLAN)
    ((context, _, query, _),) = model.seen

    assert "moved" in context.names and context.names == query.names
    assert len(context.names) <= 64 < len(table.names)


def test__forecast__without_plans__is_given_all_columns() -> None:
    model, table = with_levels("step")
    ((context, _, query, _),) = model.seen

    assert context.names == query.names == (*table.names, "series.scale")
