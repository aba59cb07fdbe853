"""Windows: which way they may look, and which is the furthest.

In: windows of a query. Out: nothing, the horizon, or a QueryError. Time rule: (anchor + start, anchor + end]; WHERE
looks back, ASSUMING looks forward, and so does at least one window of a target: its others may look back, none does
both. A month is a calendar month, so it has no fixed length: between a window in months and one in days the longer one
is known only where they differ by more than three days.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from dbt_rfm.pql.ast import LONGEST, UNIT_SECONDS, Window
from dbt_rfm.pql.scope import Scope

_MONTHS_VARY = 3 * 86_400  # n calendar months are within three days of n mean ones


class Place(StrEnum):
    """Where in a query a window stands."""

    TARGET = "the target"
    WHERE = "WHERE"
    ASSUMING = "ASSUMING"


def check_window(scope: Scope, window: Window, place: Place) -> None:
    """Raises QueryError for a window that is empty, too long, or looks the wrong way."""
    if window.start is not None and window.start >= window.end:
        swapped = f" Write {window.end}, {window.start}." if window.start > window.end else ""
        raise scope.error(
            f"the window {shown_window(window)} is empty", window.span, f"It starts before it ends.{swapped}"
        )
    if max(abs(n) for n in (window.start or 0, window.end)) * UNIT_SECONDS[window.unit] > LONGEST:
        raise scope.error("a window reaches 200 years at most", window.span, "Since ever is written -INF.")
    if place is Place.TARGET and window.end <= 0:
        return  # a look-back beside a window that looks forward: the binder asks for one
    if place is Place.WHERE:
        if window.end > 0:
            raise scope.error(
                f"WHERE looks back, but the window {shown_window(window)} reaches beyond the anchor",
                window.span,
                "End it at 0 or before. A condition on the future goes into ASSUMING.",
            )
    elif window.start is None or window.start < 0:
        hint = "Start it at 0 or later. A condition on the past goes into WHERE."
        raise scope.error(
            f"{place} looks forward, but the window {shown_window(window)} starts before the anchor", window.span, hint
        )


def furthest(scope: Scope, windows: Sequence[Window]) -> Window:
    """(anchor, anchor + end] of the window that ends last. Raises QueryError where that depends on the calendar."""
    last = max(windows, key=seconds_of)
    for window in windows:
        if may_end_after(window, last):
            raise scope.error(
                f"which ends later, {length(last)} or {length(window)}, depends on the calendar",
                window.span,
                "Write both in the same unit.",
            )
    return Window(0, last.end, last.unit, last.span)


def may_end_after(window: Window, other: Window) -> bool:
    """Whether the window can end later than the other one."""
    if (window.unit == "months") == (other.unit == "months"):
        return seconds_of(window) > seconds_of(other)
    return seconds_of(window) + _MONTHS_VARY > seconds_of(other)


def length(window: Window) -> str:
    """The window's end as a length of time: `30 days`, `1 month`."""
    return f"{window.end} {window.unit[:-1] if window.end == 1 else window.unit}"


def seconds_of(window: Window) -> int:
    """How far its end lies from its anchor; a month has its mean length."""
    return window.end * UNIT_SECONDS[window.unit]


def shown_window(window: Window) -> str:
    """`(-90, 0] days`."""
    return f"({'-INF' if window.start is None else window.start}, {window.end}] {window.unit}"
