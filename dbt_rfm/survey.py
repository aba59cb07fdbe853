"""What a query would learn from and who would be asked, without features or a model: for `dbt-rfm check`.

In: a task and its warehouse. Out: counts of the labelled examples, their classes or quantiles, their anchors, and the
SQL that makes the labels. A forecast is looked at window by window; of a list to be ranked, the number of its items is.
Time rule: the prediction's own (plan/labels.py, collect/choice.py); nothing is computed here twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlglot import exp

from dbt_rfm.collect.choice import Choice
from dbt_rfm.collect.chosen_examples import choose_labels, nobody_asked
from dbt_rfm.collect.events import events_sql
from dbt_rfm.collect.prediction_anchor import anchor_of, notes_on_age
from dbt_rfm.collect.recommendation import sizes_of
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.examples import query_examples
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import LABEL_TYPE, labels_select
from dbt_rfm.pql.hindsight import notes_on_hindsight
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.session import Session

ANCHORS = "anchors"
FEW = 50  # labelled examples: fewer say little, and no model can mend that
_SPREAD: dict[str, float | type[exp.Expression]] = {
    "min": exp.Min,
    "p10": 0.1,
    "median": 0.5,
    "p90": 0.9,
    "max": exp.Max,
    "mean": exp.Avg,
}


@dataclass(frozen=True)
class Survey:
    """`classes` counts examples per label (binary, multiclass); `spread` describes labels that are numbers: those of a
    regression, of each window of a forecast, the number of items of a list.
    """

    anchor: datetime
    examples: int
    anchors: int
    first: datetime | None
    last: datetime | None
    classes: dict[str, int]
    spread: dict[str, float]
    asked: int
    notes: tuple[str, ...]
    label_sql: str


def survey(task: Task, schema: RelationalSchema, warehouse: Warehouse, options: Options) -> Survey:
    """Raises DataError as a prediction would, for rows that give no label."""
    graph = Graph(schema, warehouse.dialect)
    with Session(warehouse) as session:
        anchor, notes = anchor_of(session, graph, options)
        notes += [*notes_on_age(session, graph, task, anchor), *notes_on_hindsight(task)]
        windowed, task = task.horizon is not None, _as_numbers(task)
        choice = choose_labels(session, graph, task, options, anchor)
        counted = _counts(session)
        classes = {} if task.kind == TaskKind.REGRESSION else _classes(session)
        spread = _spread(session) if task.kind == TaskKind.REGRESSION else {}
        asked = _asked(session, task, choice)
        same = [*classes] if len(classes) == 1 else [f"{spread['min']:g}"] if _is_one(spread) else []
        warnings = _warnings(counted["examples"], same, asked, task, choice, windowed=windowed)
        return Survey(
            anchor=anchor,
            examples=counted["examples"],
            anchors=counted["anchors"],
            first=counted["first"],
            last=counted["last"],
            classes=classes,
            spread=spread,
            asked=asked,
            notes=(*notes, *choice.notes, *warnings),
            label_sql=_label_sql(session, task, graph, anchor, options),
        )


def _as_numbers(task: Task) -> Task:
    """The task whose labels are looked at: those of a forecast's windows, of a list's length."""
    if task.kind == TaskKind.LINK:
        return sizes_of(task)
    return replace(task, kind=TaskKind.REGRESSION, timeframes=None) if task.kind == TaskKind.FORECAST else task


def _is_one(spread: dict[str, float]) -> bool:
    return bool(spread) and spread["min"] is not None and spread["min"] == spread["max"]


def _warnings(
    examples: int, same: Sequence[str], asked: int, task: Task, choice: Choice, *, windowed: bool
) -> Iterator[str]:
    """`same`: the label of all examples, if there is one."""
    if not examples:
        yield f"{choice.nothing_to_learn}. {choice.hint}".rstrip()
    elif same:
        yield f"every example has the label {same[0]}: there is nothing to tell apart"
    elif examples < FEW:
        yield f"{examples} labelled examples are few" + (": a shorter window gives more" if windowed else "")
    if not asked:
        yield f"{nobody_asked(task, choice)}: the prediction would be empty"


def _label_sql(session: Session, task: Task, graph: Graph, anchor: datetime, options: Options) -> str:
    dialect = session.warehouse.dialect
    if task.of_events:
        return events_sql(task, graph, anchor, options).sql(dialect=dialect, pretty=True)
    return label_sql(task, graph, _anchors(session), dialect)


def label_sql(task: Task, graph: Graph, anchors: Sequence[datetime], dialect: str) -> str:
    """The labels as one SELECT to read or run, with its anchors written out."""
    query = labels_select(task, graph, ANCHORS)
    values = exp.values([(sql.timestamp(moment),) for moment in anchors], alias="v", columns=["anchor_time"])
    rows = exp.CTE(this=exp.select("*").from_(values), alias=exp.TableAlias(this=sql.name(ANCHORS)))
    steps = query.find(exp.With)
    assert steps is not None, "labels are planned in named steps"
    steps.expressions.insert(0, rows)
    return query.sql(dialect=dialect, pretty=True)


def _counts(session: Session) -> dict[str, Any]:
    time = sql.column("anchor_time")
    select = sql.select(
        sql.aliased(exp.Count(this=exp.Star()), "examples"),
        sql.aliased(exp.Count(this=exp.Distinct(expressions=[time])), "anchors"),
        sql.aliased(exp.Min(this=time.copy()), "first"),
        sql.aliased(exp.Max(this=time.copy()), "last"),
    )
    return session.query(select.from_(sql.temporary(session.names.labels))).to_pylist()[0]


def _classes(session: Session) -> dict[str, int]:
    label = sql.as_text(sql.column("label"))
    select = sql.select(sql.aliased(label, "class"), sql.aliased(exp.Count(this=exp.Star()), "n"))
    select = select.from_(sql.temporary(session.names.labels)).group_by(label.copy())
    rows = session.query(select).to_pylist()
    return {row["class"]: row["n"] for row in sorted(rows, key=lambda row: (-row["n"], row["class"]))}


def _spread(session: Session) -> dict[str, float]:
    figures = [sql.aliased(_figure(each), name) for name, each in _SPREAD.items()]
    return session.query(sql.select(*figures).from_(sql.temporary(session.names.labels))).to_pylist()[0]


def _figure(each: float | type[exp.Expression]) -> exp.Expression:
    label = sql.column("label")
    if not isinstance(each, float):
        return each(this=label)
    quantile = exp.PercentileCont(this=exp.Literal.number(str(each)))
    return exp.WithinGroup(this=quantile, expression=exp.Order(expressions=[exp.Ordered(this=label)]))


def _anchors(session: Session) -> list[datetime]:
    select = sql.select(sql.column("anchor_time")).from_(sql.temporary(session.names(ANCHORS)))
    return sorted(session.query(select).column(0).to_pylist(), reverse=True)


def _asked(session: Session, task: Task, choice: Choice) -> int:
    assert isinstance(choice.query, exp.Select), "only given label tables say row by row who is asked"
    asked = query_examples(choice.query, task.entity_ids, LABEL_TYPE[task.kind])
    return session.count(sql.subquery(asked, "asked"))
