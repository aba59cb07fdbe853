"""The values of the page: what the registry and the served table say of a prediction.

In: a warehouse, the versions of a prediction as the registry has them, what its query means. Out: a `Prediction`. Only
SELECTs run, each for a few rows. Moments are UTC.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlglot import exp

from dbt_rfm.job import JobTarget
from dbt_rfm.report.selects import TOTAL, spread_select, strongest_select
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions.history import KIND_COLUMNS, MARKS, history_of
from dbt_rfm.versions.registry import SERVING, list_figures
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.relations import exists, named

Row = Mapping[str, Any]
_ANCHOR, _REASONS = "anchor_time", "reasons"
#: What of a kind's columns the strongest rows show.
_SHOWN = {
    TaskKind.BINARY: ("probability",),
    TaskKind.MULTICLASS: ("class", "probability"),
    TaskKind.REGRESSION: ("prediction", "p10", "p90"),
    TaskKind.LINK: ("score",),
    TaskKind.FORECAST: (),
}


@dataclass(frozen=True)
class Meaning:
    """What a query says in words, and how long what it predicts takes; `problem`: why there are no words."""

    words: Mapping[str, str]
    lasts: timedelta | None = None
    problem: str = ""


@dataclass(frozen=True)
class Published:
    """A prediction by its registry: `versions` are whole rows of it, the newest first, one at least."""

    name: str
    served: JobTarget
    home: JobTarget  # of the registry and the history
    versions: Sequence[Row]

    @property
    def version(self) -> Row:
        """The one that is served, or the newest where none is."""
        return next((v for v in self.versions if v["status"] == SERVING), self.versions[0])


@dataclass(frozen=True)
class Strongest:
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    reasons: tuple[tuple[Row, ...], ...]  # of each row; none where nobody looked for them


@dataclass(frozen=True)
class Prediction:
    published: Published
    meaning: Meaning
    figures: Sequence[Row]  # metric, baseline ('' is the model), value
    spread: Sequence[Row] = ()  # as `spread_select` has it
    strongest: Strongest | None = None
    problem: str = ""  # why there is nothing of the served table


def gather(warehouse: Warehouse, published: Published, meaning: Meaning) -> Prediction:
    """A served table that is not as it was published is a `problem`, and no error: the registry still speaks."""
    version = published.version
    figures = list_figures(warehouse, published.home, version["version"]).to_pylist()
    if version["status"] != SERVING:
        return Prediction(published, meaning, figures, problem="No version of it is served yet.")
    kind = TaskKind(version["kind"])
    columns = _columns(warehouse, published.served)
    problem = _problem(published.served, columns, kind, version["version"])
    if problem:
        return Prediction(published, meaning, figures, problem=problem)
    keys, items = _keys(columns, _columns(warehouse, history_of(published.home)) or columns, kind)
    table = named(published.served)
    spread = warehouse.query(spread_select(kind, table.copy(), items)).to_pylist()
    strongest = _strongest(warehouse, table, kind, keys, (*items, *_SHOWN[kind]), with_reasons=_REASONS in columns)
    return Prediction(published, meaning, figures, spread, strongest)


def _strongest(
    warehouse: Warehouse,
    table: exp.Table,
    kind: TaskKind,
    keys: Sequence[str],
    more: Sequence[str],
    *,
    with_reasons: bool,
) -> Strongest:
    asked = (*more, _REASONS) if with_reasons else more
    found = warehouse.query(strongest_select(kind, table.copy(), keys, asked)).to_pylist()
    shown = (*keys, *more, *((TOTAL,) if kind == TaskKind.FORECAST else ()))
    said = [json.loads(row[_REASONS]) if with_reasons and row[_REASONS] else [] for row in found]
    return Strongest(shown, tuple(tuple(row[c] for c in shown) for row in found), tuple(map(tuple, said)))


def _columns(warehouse: Warehouse, relation: JobTarget) -> list[str]:
    """None of a relation that is not there."""
    if not exists(warehouse, relation):
        return []
    return [name for name, _ in warehouse.describe(named(relation).sql(dialect=warehouse.dialect))]


def _problem(served: JobTarget, columns: Sequence[str], kind: TaskKind, number: int) -> str:
    at = ".".join(part for part in (served.schema, served.identifier) if part)
    again = f"`dbt-rfm rollback {served.identifier} --version {number}` makes it again."
    if not columns:
        return f"The table {at} is not there any more, though the registry has a version that is served. {again}"
    lacking = [name for name in (_ANCHOR, *KIND_COLUMNS[kind]) if name not in columns]
    if lacking:
        return f"The table {at} is not the one that was published: it has no column {', '.join(lacking)}. {again}"
    return ""


def _keys(columns: Sequence[str], published: Sequence[str], kind: TaskKind) -> tuple[list[str], list[str]]:
    """The columns of the entity's key and of the item's. Which is which says the order in which they were `published`:
    a contract may have put those of the served table into another."""
    known = {
        *(c for of_kind in KIND_COLUMNS.values() for c in of_kind),
        *(name for name, _ in MARKS),
        _ANCHOR,
        _REASONS,
    }
    keys = [name for name in columns if name not in known]
    if kind != TaskKind.LINK:
        return keys, []
    order = [name.casefold() for name in published]
    items = [name for name in keys if name.casefold() in order[order.index(_ANCHOR) :]]
    return [name for name in keys if name not in items], items
