"""The kinds of prediction, shared by the query, the plan and the model."""

from __future__ import annotations

from enum import StrEnum


class TaskKind(StrEnum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    LINK = "link"
    FORECAST = "forecast"
