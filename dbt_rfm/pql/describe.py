"""A task in plain words, for someone who wonders whether the query asks what they meant.

In: a bound Task. Out: a few lines: what is predicted and of what kind, for whom, from what is learnt, what no rows
mean, and along which links rows belong to an entity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from dbt_rfm.pql.ast import ZERO_OF_NOTHING, Scalar, Window
from dbt_rfm.pql.attributes import hidden_columns
from dbt_rfm.pql.literals import shown
from dbt_rfm.pql.paths import way
from dbt_rfm.pql.scope import joined
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundAnd,
    BoundArithmetic,
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundNot,
    BoundOperand,
    BoundOr,
    BoundTarget,
    Task,
    aggregations_of,
    leaves,
)
from dbt_rfm.pql.windows import length
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.task_kind import TaskKind

_KINDS = {
    TaskKind.BINARY: "binary: a probability",
    TaskKind.MULTICLASS: "multiclass: the likeliest classes with their probabilities",
    TaskKind.REGRESSION: "regression: a number, with the range in which it falls 8 times of 10",
    TaskKind.LINK: "recommendation: a ranked list, each row with its probability",
    TaskKind.FORECAST: "forecast: a number for each window, with the range in which it falls 8 times of 10",
}
_FUNCTIONS = {"SUM": "sum", "AVG": "mean", "MIN": "lowest", "MAX": "highest", "FIRST": "first", "LAST": "last"}
_OPERATORS = {
    "=": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "IS": "is",
    "IS NOT": "is not",
    "IN": "is one of",
    "NOT IN": "is none of",
    "LIKE": "is like",
    "NOT LIKE": "is not like",
    "CONTAINS": "contains",
    "NOT CONTAINS": "does not contain",
    "STARTS WITH": "starts with",
    "ENDS WITH": "ends with",
}
_SIGNS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def describe(task: Task) -> str:
    """Lines of `Word: what it means`, without a line break at the end."""
    lines = described(task)
    width = max(map(len, lines)) + 2
    return "\n".join(f"{word + ':':<{width}}{text}" for word, text in lines.items())


def described(task: Task) -> dict[str, str]:
    """What each word of the description means, for those that apply."""
    lines = {
        "Predicts": _predicts(task),
        "Kind": _KINDS[task.kind] if task.classes_shown is None else f"multiclass: the {task.classes_shown} likeliest",
        "For": _for_whom(task),
        "Learns from": _learns_from(task),
        "No rows": " ".join(_on_nothing(task)),
        "Times": _on_times(task),
        "Path": "; ".join(dict.fromkeys(way(a.path) for a in aggregations_of(task.target))),
    }
    return {word: text for word, text in lines.items() if text}


def _predicts(task: Task) -> str:
    target = task.target
    if task.ranking is not None:
        new = ", leaving out what was there before" if task.ranking.exclude_seen else ""
        listed = _operand(target) if isinstance(target, BoundAggregation) else ""
        return f"{listed}: the {task.ranking.number} likeliest of {task.ranking.link.parent}{new}"
    if isinstance(target, BoundColumn):
        if target.table.name == task.entity.table.name:
            return f"{_operand(target)} where it is {'not known yet' if task.of_events else 'null'}"
        return f"{_operand(target)}, as the label table gives it"
    if isinstance(target, BoundComparison | BoundNot | BoundAnd | BoundOr):
        return f"whether {_condition(target)}{', where that is not known' if hidden_columns(task) else ''}"
    if task.timeframes is not None and task.horizon is not None:
        windows = f"{task.timeframes} windows of {length(task.horizon)}, end to end"
        return f"{_operand(target)}, and so on: {windows}"
    return _operand(target)


def _for_whom(task: Task) -> str:
    column = f"({task.entity.column.name})" if task.entity.table.combined else task.entity.column.name
    entity = f"{task.entity.table.name}.{column}"
    who = f"each {entity}"
    if task.entity_ids:
        who = f"{entity} {joined((shown(i) for i in task.entity_ids[:10]), 'and')}"
        who += f" and {len(task.entity_ids) - 10} more" if len(task.entity_ids) > 10 else ""
    return f"{who}, if {_condition(task.where)}" if task.where is not None else who


def _learns_from(task: Task) -> str:
    if task.of_events:
        return f"the rows whose outcome is known, each as things stood at its own {task.entity.table.time_column}"
    if task.horizon is None:
        return "the rows where it is known" if hidden_columns(task) else "the labels known by then"
    windows = f"the same question asked every {length(task.horizon)} of the past"
    if task.timeframes is not None:
        windows += ", for each window that has ended"
    return f"{windows}, if {_condition(task.assuming)}" if task.assuming is not None else windows


def _on_nothing(task: Task) -> Iterator[str]:
    parts = list(_parts(task.target))
    tested = [part for part in parts if isinstance(part, BoundComparison) and part.operator in ("IS", "IS NOT")]
    compared = [part for part in parts if part not in tested]
    functions = _functions(parts)
    zero = [f for f in functions if f in ZERO_OF_NOTHING]
    null, undefined = ([f for f in _functions(of) if f not in zero] for of in (tested, compared))
    if zero:
        yield f"{joined(zero)} of no rows {'is 0, and counts' if len(zero) == 1 else 'are 0, and count'}."
    if null:
        yield f"{joined(null)} of no rows {'is null, and counts' if len(null) == 1 else 'are null, and count'}."
    if undefined:
        are = "is" if len(undefined) == 1 else "are"
        yield f"{joined(undefined)} of no rows {are} undefined: such a case is not learnt from."
    if any(map(_divides, compared)):
        yield "A division by zero is undefined: such a case is not learnt from."


def _functions(parts: Sequence[BoundTarget]) -> list[str]:
    return list(dict.fromkeys(a.function for part in parts for a in aggregations_of(part)))


def _parts(target: BoundTarget) -> Iterator[BoundTarget]:
    """The comparisons of a condition, and any other target as it is."""
    if isinstance(target, BoundNot):
        yield from _parts(target.operand)
    elif isinstance(target, BoundAnd | BoundOr):
        for operand in target.operands:
            yield from _parts(operand)
    else:
        yield target


def _on_times(task: Task) -> str:
    """Which times in rows are looked at, besides those that say when a row happened."""
    found: dict[str, None] = {}
    parts: list[object] = [task.target, task.where, task.assuming]
    for leaf in (leaf for part in parts for leaf in leaves(part)):
        inner = [leaf]
        if isinstance(leaf, BoundAggregation):
            inner = [BoundColumn(leaf.table, leaf.column)] if leaf.column is not None else []
            inner += leaves(leaf.where)
        for column in inner:
            assert isinstance(column, BoundColumn), "conditions on rows hold no aggregation"
            own = (column.table.time_column, column.table.valid_from)
            if family(column.column.data_type) is Family.TIME and column.column.name not in own:
                found[_operand(column)] = None
    verbs = "is null until it has" if len(found) == 1 else "are null until they have"
    return f"{joined(found)} {verbs} come." if found else ""


def _divides(node: object) -> bool:
    if isinstance(node, BoundArithmetic):
        return node.operator == "/" or _divides(node.left) or _divides(node.right)
    return isinstance(node, BoundComparison) and (_divides(node.left) or _divides(node.value))


def _condition(condition: BoundCondition, *, inside: bool = False) -> str:
    if isinstance(condition, BoundComparison):
        return f"{_operand(condition.left)} {_OPERATORS[condition.operator]} {_value(condition.value)}"
    if isinstance(condition, BoundNot):
        return f"not ({_condition(condition.operand)})"
    word = " and " if isinstance(condition, BoundAnd) else " or "
    text = word.join(_condition(operand, inside=True) for operand in condition.operands)
    return f"({text})" if inside else text


def _value(value: Scalar | tuple[Scalar, ...] | BoundOperand) -> str:
    if isinstance(value, BoundAggregation | BoundColumn | BoundArithmetic):
        return _operand(value)
    if value is None:
        return "null"
    return ", ".join(map(shown, value)) if isinstance(value, tuple) else shown(value)


def _operand(operand: BoundOperand) -> str:
    if isinstance(operand, int | Decimal):
        return shown(operand)
    if isinstance(operand, BoundArithmetic):
        left, right = (
            shown(part) if isinstance(part, int | Decimal) else f"({_operand(part)})"
            for part in (operand.left, operand.right)
        )
        return f"{left} {_SIGNS[operand.operator]} {right}"
    if isinstance(operand, BoundColumn):
        return f"{operand.table.name}.{operand.column.name}"
    table, column = operand.table.name, operand.column
    if operand.function == "COUNT":
        what = f"the number of rows of {table}"
        what += f" with a {column.name}" if column is not None else ""
    elif operand.function == "LIST_DISTINCT":
        what = f"which {table}.{column.name if column is not None else '*'} there will be"
    elif operand.function == "COUNT_DISTINCT":
        what = f"the number of different values of {table}.{column.name if column is not None else '*'}"
    else:
        of = " of" if operand.function in ("SUM", "AVG") else ""
        what = f"the {_FUNCTIONS[operand.function]}{of} {table}.{column.name if column is not None else '*'}"
    if operand.where is not None:
        what += f" (only where {_condition(operand.where)})"
    return f"{what} {_window(operand.window)}"


def _window(window: Window) -> str:
    start, end, unit = window.start, window.end, window.unit
    if start is None:
        return "so far" if end == 0 else f"up to {length(Window(0, -end, unit))} before"
    if start == 0:
        return f"in the next {length(window)}"
    if end == 0:
        return f"in the last {length(Window(0, -start, unit))}"
    low, high = sorted((abs(start), abs(end)))
    return f"from {low} to {high} {unit} {'ahead' if start > 0 else 'before'}"
