"""The kinds of prediction, shared by the query, the plan and the model."""

from __future__ import annotations

from enum import StrEnum


class TaskKind(StrEnum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    LINK = "link"
    FORECAST = "forecast"


#: One label per example; lists and forecasts are made of several. The order is that of the network's weights.
ONE_LABEL = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION)
