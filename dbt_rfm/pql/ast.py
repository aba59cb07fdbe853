"""The predictive query as written: a tree with positions, no names resolved.

`Span` counts characters of the query text, end excluded. Every node that an error may point at carries one; spans do
not take part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

Scalar = bool | int | Decimal | str | datetime | None


@dataclass(frozen=True)
class Span:
    start: int
    end: int


NOWHERE = Span(0, 0)


def _span() -> Span:
    return field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True)
class ColumnRef:
    table: str
    column: str  # '*' for every column
    span: Span = _span()


@dataclass(frozen=True)
class Literal:
    value: Scalar | tuple[Scalar, ...]
    span: Span = _span()


ZERO_OF_NOTHING = ("COUNT", "COUNT_DISTINCT", "SUM")  # aggregations that are never null
UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800, "months": 2_629_746}
UNITS = tuple(UNIT_SECONDS)
LONGEST = 200 * 12 * UNIT_SECONDS["months"]  # beyond, dates leave what warehouses can hold; -INF means since ever


@dataclass(frozen=True)
class Window:
    """(anchor + start, anchor + end], in `unit`. `start` None means since ever."""

    start: int | None
    end: int
    unit: str = "days"  # one of UNITS
    span: Span = _span()


@dataclass(frozen=True)
class Aggregation:
    function: str  # SUM AVG MIN MAX COUNT COUNT_DISTINCT FIRST LAST LIST_DISTINCT
    column: ColumnRef
    where: Condition | None = None
    window: Window | None = None  # None: a static aggregation, over all rows known so far
    via: tuple[ColumnRef, ...] = ()  # foreign keys that the way to the entity goes through
    span: Span = _span()


@dataclass(frozen=True)
class Arithmetic:
    operator: str  # + - * /
    left: Operand
    right: Operand
    span: Span = _span()


@dataclass(frozen=True)
class Comparison:
    left: Operand
    operator: (
        str  # = != < <= > >= IS 'IS NOT' IN 'NOT IN' LIKE 'NOT LIKE' CONTAINS 'NOT CONTAINS' 'STARTS WITH' 'ENDS WITH'
    )
    right: Literal | Operand
    span: Span = _span()


@dataclass(frozen=True)
class Not:
    operand: Condition
    span: Span = _span()


@dataclass(frozen=True)
class And:
    operands: tuple[Condition, ...]  # two or more
    span: Span = _span()


@dataclass(frozen=True)
class Or:
    operands: tuple[Condition, ...]
    span: Span = _span()


Operand = Aggregation | ColumnRef | Arithmetic | Literal  # of literals, numbers only
Condition = Comparison | Not | And | Or
Target = Condition | Operand


@dataclass(frozen=True)
class Problem:
    """RANK, CLASSIFY, TOP k or FORECAST n TIMEFRAMES behind the target."""

    kind: str  # FORECAST | RANK | CLASSIFY
    number: int | None = None
    span: Span = _span()
    exclude_seen: bool = False  # of RANK


@dataclass(frozen=True)
class Query:
    target: Target
    entity: ColumnRef
    entity_ids: Comparison | None = None  # FOR customers.customer_id = 7 / IN (…)
    key: tuple[ColumnRef, ...] = ()  # FOR EACH order_items.(order_id, line_no): its columns
    where: Condition | None = None
    assuming: Condition | None = None
    problem: Problem | None = None
    command: str | None = None  # EXPLAIN | EVALUATE
    command_span: Span = _span()
    text: str = field(default="", compare=False, repr=False)
