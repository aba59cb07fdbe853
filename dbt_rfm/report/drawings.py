"""Places of bars, lines and bands, which the template draws as SVG.

In: counted rows and versions. Out: coordinates in a box of WIDTH x HEIGHT with its y axis pointing down, or shares of
a bar's length between 0 and 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbt_rfm.figures import short
from dbt_rfm.versions.registry import HELD

WIDTH, HEIGHT = 640, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 12, 24
_VERSIONS = 60  # of a trend: those before cannot be told apart on a page


@dataclass(frozen=True)
class Bar:
    label: str
    n: int
    length: float  # 0 to 100, the longest 100
    share: str


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    label: str  # shown when it is pointed at
    held: bool = False


@dataclass(frozen=True)
class Axes:
    low: str
    high: str
    first: str
    last: str


@dataclass(frozen=True)
class Trend:
    axes: Axes
    metric: str
    model: tuple[Point, ...]
    baseline: tuple[Point, ...]


@dataclass(frozen=True)
class Band:
    axes: Axes
    middle: tuple[Point, ...]
    outline: tuple[Point, ...]  # along p90, and back along p10


def bars(counted: Sequence[tuple[str, int]], everybody: int | None = None) -> tuple[Bar, ...]:
    """`everybody`: of how many the shares are, if not of all that is counted."""
    most = max((n for _, n in counted), default=0) or 1
    whole = everybody or sum(n for _, n in counted) or 1
    return tuple(Bar(label, n, round(100 * n / most, 2), f"{n / whole:.1%}") for label, n in counted)


def trend(versions: Sequence[Mapping[str, Any]]) -> Trend:
    """`versions`: rows of the registry, the oldest first, with a backtest each."""
    shown = versions[-_VERSIONS:]
    model, baseline = ([float(v[name]) for v in shown] for name in ("backtest_value", "baseline_value"))
    low, high = _ends([*model, *baseline])
    metric, numbers = shown[0]["backtest_metric"], [v["version"] for v in shown]

    def placed(values: Sequence[float], what: str) -> list[Point]:
        labels = [f"version {n}: {what} {short(value)}" for n, value in zip(numbers, values, strict=True)]
        return [Point(_x(i, len(shown)), _y(value, low, high), labels[i]) for i, value in enumerate(values)]

    of_model = [replace(p, held=v["status"] == HELD) for p, v in zip(placed(model, metric), shown, strict=True)]
    axes = Axes(short(low), short(high), f"version {numbers[0]}", f"version {numbers[-1]}")
    return Trend(axes, metric, tuple(of_model), tuple(placed(baseline, "baseline")))


def band(steps: Sequence[Mapping[str, Any]]) -> Band:
    """`steps`: since, until, total, p10 and p90 of each, in order."""
    values = {name: [float(step[name] or 0.0) for step in steps] for name in ("total", "p10", "p90")}
    low, high = _ends([0.0, *(value for each in values.values() for value in each)])

    def placed(name: str) -> tuple[Point, ...]:
        said = [
            f"{step['since']:%Y-%m-%d} to {step['until']:%Y-%m-%d}: {short(float(step['total'] or 0.0))}, "
            f"p10 {short(float(step['p10'] or 0.0))}, p90 {short(float(step['p90'] or 0.0))}"
            for step in steps
        ]
        return tuple(
            Point(_x(i, len(steps)), _y(value, low, high), label)
            for i, (value, label) in enumerate(zip(values[name], said, strict=True))
        )

    axes = Axes(short(low), short(high), f"from {steps[0]['since']:%Y-%m-%d}", f"to {steps[-1]['until']:%Y-%m-%d}")
    return Band(axes, placed("total"), (*placed("p90"), *reversed(placed("p10"))))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Of an axis that shows all of them; never of no length."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _x(place: int, of: int) -> float:
    inside = WIDTH - _LEFT - _RIGHT
    return round(_LEFT + (inside * place / (of - 1) if of > 1 else inside / 2), 1)


def _y(value: float, low: float, high: float) -> float:
    return round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low), 1)
