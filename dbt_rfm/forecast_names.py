"""Names of a forecast's features that others rely on: the model's scale, the baselines of the backtest."""

from __future__ import annotations

SERIES = "series"  # source of features in the unit of the label
GROUP = "group"  # source of ratios
STEP = "step"
PLAN = "plan"  # source of what is known of a window beforehand
LAST, RECENT, LEVEL, MEAN = "series.lag1", "series.mean4", "series.mean12", "series.mean"
SEASONS = ("series.day", "series.week", "series.year")  # the value of the newest closed same season, shortest first
