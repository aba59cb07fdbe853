"""A forecast's backtest by hand: two entities, two steps."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from dbt_rfm.evaluate.backtest import backtest
from dbt_rfm.evaluate.forecast import ENTITY_MEAN, LAST_VALUE, SEASONAL_NAIVE
from dbt_rfm.forecast_names import LAST, MEAN
from dbt_rfm.model.interface import Predictions
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind

SUM = "PREDICT SUM(sales.amount, 0, 7, days) FORECAST 2 TIMEFRAMES FOR EACH shops.shop_id"


def snapshot(labels: list[float], *, query: str = SUM, **features: list[float | None]) -> Snapshot:
    """Context labels 1, 2 and 9, then the tested examples: entity 1 steps 1 and 2, entity 2 steps 1 and 2."""
    blank = [None] * 3
    columns = {LAST: [4.0, 4.0, None, None], MEAN: [5.0, 5.0, 6.0, 6.0], **features}
    examples = {
        "split": ["backtest_context"] * 3 + ["backtest"] * 4,
        "entity": [1, 1, 2, 1, 1, 2, 2],
        "step": pa.array([1, 1, 1, 1, 2, 1, 2], type=pa.int64()),
        "label": [1.0, 2.0, 9.0, *labels],
    }
    return Snapshot(
        query=query,
        kind=TaskKind.FORECAST,
        classes=(),
        entity="shop_id",
        anchor=datetime(2024, 1, 1),
        schema_fingerprint="",
        features_meta=(),
        examples=pa.table(examples),
        features=pa.table({name: pa.array(blank + values, type=pa.float64()) for name, values in columns.items()}),
    )


def predicted(median: list[float], spread: float = 1.0, mean: list[float] | None = None) -> Predictions:
    middle = np.array(median)
    quantiles = np.stack([middle - spread, middle, middle + spread], 1)
    found = np.array(mean if mean is not None else median)
    return Predictions(TaskKind.FORECAST, (), mean=found, levels=(0.1, 0.5, 0.9), quantiles=quantiles)


def test__backtest__forecast__every_figure_by_hand() -> None:
    found = backtest(snapshot([4.0, 6.0, 0.0, 10.0]), predicted([5.0, 6.0, 2.0, 8.0], mean=[6.0, 6.0, 4.0, 6.0]))
    assert found is not None
    assert (found.rows, found.context, found.primary, found.beats) == (4, 3, "wape", True)
    assert found.metrics["wape"] == pytest.approx((1 + 0 + 2 + 2) / 20)
    assert found.metrics["mae"] == pytest.approx(5 / 4)
    assert found.metrics["coverage"] == 0.5
    # p10 (4, 5, 1, 7): 0.1 * (0 + 1 + 3) + 0.9 * 1; p50: half the errors; p90 (6, 7, 3, 9): 0.1 * (2 + 1 + 3) + 0.9 * 1
    assert found.metrics["pinball"] == pytest.approx((0.4 + 0.9 + 2.5 + 0.6 + 0.9) / 12)
    # what the steps' means add up to: 12 and 10, against 10 and 10
    assert found.metrics["total_wape"] == pytest.approx(2 / 20)


def test__backtest__baselines__fall_back_to_the_median_of_the_context() -> None:
    found = backtest(snapshot([4.0, 6.0, 0.0, 10.0]), predicted([5.0, 6.0, 2.0, 8.0]))
    assert found is not None
    assert found.baselines[LAST_VALUE]["mae"] == pytest.approx((0 + 2 + 2 + 8) / 4)  # entity 2 has no last value: 2
    assert found.baselines[ENTITY_MEAN]["mae"] == pytest.approx((1 + 1 + 6 + 4) / 4)
    assert SEASONAL_NAIVE not in found.baselines
    assert "coverage" not in found.baselines[LAST_VALUE]


def test__backtest__seasons__the_shortest_known_one_then_the_last_value() -> None:
    seasons = {"series.week": [None, 7.0, None, None], "series.year": [3.0, 1.0, None, None]}
    found = backtest(snapshot([4.0, 6.0, 0.0, 10.0], **seasons), predicted([5.0, 6.0, 2.0, 8.0]))
    assert found is not None
    assert found.baselines[SEASONAL_NAIVE]["mae"] == pytest.approx((1 + 1 + 2 + 8) / 4)


def test__backtest__nothing_happened__is_judged_by_mae() -> None:
    found = backtest(snapshot([0.0, 0.0, 0.0, 0.0]), predicted([0.0, 0.0, 0.0, 0.0]))
    assert found is not None
    assert (found.primary, found.beats) == ("mae", True)
    assert "nan" not in found.line() and "(pinball " in found.line(), "shares of nothing are not told"


def test__backtest__average__has_no_total() -> None:
    found = backtest(snapshot([1.0, 2.0, 3.0, 4.0], query=SUM.replace("SUM", "AVG")), predicted([1.0, 2.0, 3.0, 4.0]))
    assert found is not None
    assert "total_wape" not in found.metrics
