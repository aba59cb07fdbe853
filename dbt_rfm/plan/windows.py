"""The look-back windows of features, tied to the horizon.

In: the horizon. Out: windows H, 3H, about 12H and all time, shortest first. Time rule: (anchor - n, anchor].
A monthly horizon gets a year instead of 12 times 30 days, so that the season comes round exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbt_rfm.pql.ast import Window


@dataclass(frozen=True)
class LookBack:
    """The last `number` units before the anchor; `number` None is all time."""

    number: int | None
    unit: str = "days"

    def __str__(self) -> str:
        if self.number is None:
            return "all"
        short = {"minutes": "min", "months": "mo"}.get(self.unit, self.unit[0])
        return f"{self.number}{short}"


ALL = LookBack(None)
NO_HORIZON = (LookBack(1), LookBack(7), LookBack(30), ALL)


def look_backs(horizon: Window | None) -> tuple[LookBack, ...]:
    """Four windows, the last one all time. Without a horizon a day, a week, a month."""
    if horizon is None or horizon.end <= 0:
        return NO_HORIZON
    number, unit = horizon.end, horizon.unit
    monthly = unit == "days" and 28 <= number <= 31
    return (
        LookBack(number, unit),
        LookBack(3 * number, unit),
        LookBack(365) if monthly else LookBack(12 * number, unit),
        ALL,
    )


def in_brief(windows: tuple[LookBack, ...]) -> tuple[LookBack, ...]:
    """The shortest and the two longest of four."""
    return windows[:1] + windows[-2:]
