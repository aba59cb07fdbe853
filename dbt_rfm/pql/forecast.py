"""FORECAST n TIMEFRAMES: the target asked again for each of n windows, end to end.

In: the query and its target as bound. Out: n, or a QueryError. Time rule: step s covers (anchor + (s - 1) h,
anchor + s h], where h is the target's window, which therefore starts at the anchor. What is forecast is a number per
window: an aggregation whose value is one.
"""

from __future__ import annotations

from dbt_rfm.pql import ast
from dbt_rfm.pql.scope import Scope
from dbt_rfm.pql.task import BoundColumn, BoundTarget, aggregations_of
from dbt_rfm.pql.windows import furthest, length
from dbt_rfm.task_kind import TaskKind

MAX_TIMEFRAMES = 1000


def timeframes_of(scope: Scope, query: ast.Query, target: BoundTarget, kind: TaskKind) -> int | None:
    """The number of windows to forecast; None for a query without FORECAST. Raises QueryError."""
    problem = query.problem
    if problem is None or problem.kind != "FORECAST":
        return None
    number = problem.number or 0  # the grammar asks for one, the parser for at least 1
    if number > MAX_TIMEFRAMES:
        hint = "Forecast wider windows: a week instead of a day."
        raise scope.error(f"FORECAST takes at most {MAX_TIMEFRAMES} timeframes, got {number}", problem.span, hint)
    if isinstance(target, BoundColumn):
        hint = "Write, for example, PREDICT SUM(orders.amount, 0, 7, days) FORECAST 8 TIMEFRAMES FOR EACH …"
        raise scope.error("FORECAST needs an aggregation over a window, got a column", query.target.span, hint)
    if kind != TaskKind.REGRESSION:
        hint = "Forecast the number itself, such as COUNT(…) or SUM(…), and compare it in the table it gives."
        raise scope.error(f"FORECAST needs a target that is a number, this one is {kind}", query.target.span, hint)
    if query.assuming is not None:
        hint = "Leave it out: a forecast asks for every window, whatever happens in it."
        raise scope.error("ASSUMING has no meaning for a forecast", problem.span, hint)
    _check_windows(scope, target)
    return number


def _check_windows(scope: Scope, target: BoundTarget) -> None:
    """Every window of the target is one and the same timeframe, and starts where the one before it ends."""
    windows = [a.window for a in aggregations_of(target)]
    if not windows:
        return  # refused by the binder: a target without a window has no horizon
    whole = furthest(scope, windows)
    for window in windows:
        if window.start != 0:
            hint = f"Start it at 0: 0, {whole.end}, {whole.unit}."
            problem = "the timeframes of a forecast follow each other from the anchor"
            raise scope.error(f"{problem}, this window starts at {window.start}", window.span, hint)
        if window != whole:
            problem = f"the timeframes of a forecast have one length, got {length(window)} and {length(whole)}"
            raise scope.error(problem, window.span, "Give every aggregation of the target the same window.")
