"""Values in a readable length, the same in every table and page."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

NOTHING = "–"


def short(value: Any) -> str:
    """
    >>> short(1234.56), short(12.345678), short(0.12345), short(None)
    ('1,234.6', '12.35', '0.123', '–')
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return NOTHING
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3f}"
    return str(value)
