"""Which examples a plan is run for: labels found or given, drawn into splits, and looked through.

In: a task, the prediction anchor, the options. Out: a `Choice`, the session tables of labels and of examples, notes.
Raises DataError where there is nobody to predict for or nothing to learn from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.collect.choice import Choice, from_attribute, from_label_table, from_windows, require_entities
from dbt_rfm.collect.events import from_events
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.examples import (
    context_select,
    drawn_select,
    draws_select,
    examples_select,
    known_by,
    of_split,
    query_examples,
)
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import LABEL_TYPE
from dbt_rfm.plan.staleness import Staleness
from dbt_rfm.pql.task import Task, leaves
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.session import Session


def choose_labels(
    session: Session, graph: Graph, task: Task, options: Options, anchor: datetime, labels: str | None = None
) -> Choice:
    """Make the session table of labels, from where the task has them, and say who may be learnt from and asked."""
    require_entities(session, graph, task)
    if labels is not None:
        return from_label_table(session, graph, task, anchor, options.horizon)
    if options.label_delay and not task.of_events:
        raise ProjectError(
            "the option meta.rfm.label_delay says when the outcome of an event is known, and no event is asked about",
            hint="It belongs to PREDICT with a column of a table that has a time column. Leave it out here.",
        )
    if task.of_events:
        return from_events(session, graph, task, anchor, options)
    if task.horizon is None:
        return from_attribute(session, graph, task, anchor, options.seed)
    return from_windows(session, graph, task, anchor)


def given_labels(session: Session, labels: pa.Table, kind: TaskKind, cut: datetime | None) -> Choice:
    """The same of labels that come with their splits; nothing is known after `cut`."""
    queries = labels.filter(pc.equal(labels["split"], QUERY))
    if not len(queries):
        raise DataError("no row of the label table is asked for: none has the split 'query'")
    first = min(m for m in (pc.min(queries["anchor_time"]).as_py(), cut) if m is not None)
    session.load(session.names("given"), labels)
    label = exp.Cast(this=sql.column("label"), to=exp.DataType.build(LABEL_TYPE[kind]))
    columns = [*sql.columns(("entity", "anchor_time", "known_at", "split")), sql.aliased(label, "label")]
    select = sql.select(*columns).from_(sql.temporary(session.names("given")), copy=False)
    session.create(session.names.labels, select)
    return Choice(
        context=[of_split(CONTEXT), known_by(sql.timestamp(first))],
        query=[of_split(QUERY)],
        nothing_to_learn=f"no label of the split 'context' was known by the first query anchor, {first}",
    )


def draw_examples(
    session: Session,
    task: Task,
    options: Options,
    choice: Choice,
    *,
    query_rows: int | None = None,
    cut: datetime | None = None,
    staleness: Staleness | None = None,
) -> list[str]:
    """Make the session table of examples. Gives notes; raises DataError if nothing can be learnt."""
    names, kind, seed = session.names, task.kind, options.seed

    def context(split: str, conditions: Sequence[exp.Expression]) -> exp.Select:
        return context_select(names, kind, size=choice.sizes[split], conditions=conditions)

    session.create(names.draws, draws_select(names, seed))
    splits: list[tuple[str, exp.Expression]] = [(CONTEXT, context(CONTEXT, choice.context))]
    if isinstance(choice.query, exp.Select):
        splits.append((QUERY, query_examples(choice.query, task.entity_ids, LABEL_TYPE[kind])))
    else:
        size = query_rows or 2**31
        splits.append((QUERY, drawn_select(names, size=size, seed=seed, conditions=choice.query)))
    if options.backtest and choice.backtest:
        drawn = drawn_select(names, size=choice.max_backtest, seed=seed, conditions=choice.backtest)
        splits += [(BACKTEST_CONTEXT, context(BACKTEST_CONTEXT, choice.backtest_context)), (BACKTEST, drawn)]
    moment = sql.timestamp(cut) if cut is not None else None
    session.create(names.examples, examples_select(splits, moment, staleness))
    return _check_examples(session, task, options, choice)


def nobody_asked(task: Task, choice: Choice) -> str:
    if not task.entity_ids:
        return choice.nobody_asked
    keys = f"{task.entity.column.name} {', '.join(map(str, task.entity_ids))}"
    return f"no row of {task.entity.table.name} with {keys} fulfils the query"


def _check_examples(session: Session, task: Task, options: Options, choice: Choice) -> list[str]:
    by = [sql.column("split"), sql.aliased(sql.as_text(sql.column("label")), "label")]
    counted = sql.select(*by, sql.aliased(exp.Count(this=exp.Star()), "n"))
    counted = counted.from_(sql.temporary(session.names.examples), copy=False)
    counted = counted.group_by(sql.column("split"), sql.as_text(sql.column("label")), copy=False)
    found: dict[str, dict[str, int]] = {}
    for row in session.query(counted).to_pylist():
        found.setdefault(row["split"], {})[row["label"]] = row["n"]
    if CONTEXT not in found:
        raise DataError(choice.nothing_to_learn, hint=choice.hint)
    notes = []
    if task.kind == TaskKind.REGRESSION:
        _check_numbers(task, found[CONTEXT])
    if len(found[CONTEXT]) == 1:
        same = f"every one of the {sum(found[CONTEXT].values())} examples to learn from has the label"
        only = next(iter(found[CONTEXT]))
        if task.kind != TaskKind.REGRESSION:
            hint = "There is nothing to tell apart: ask for something that happens sometimes."
            raise DataError(f"{same} {only}", hint=hint)
        notes.append(f"{same} {float(only):g}: there is nothing to tell apart")
    if QUERY not in found:
        notes.append(f"{nobody_asked(task, choice)}: the prediction is empty")
    if options.backtest and not (found.get(BACKTEST) and found.get(BACKTEST_CONTEXT)):
        notes.append("no backtest: there are no labels before the newest closed window")
    return notes


def _check_numbers(task: Task, labels: Mapping[str, int]) -> None:
    """`labels`: the text of each, and how many examples have it."""
    endless = sum(count for label, count in labels.items() if not math.isfinite(float(label)))
    if not endless:
        return
    columns = dict.fromkeys(f"{leaf.table.name}.{leaf.column.name}" for leaf in leaves(task.target) if leaf.column)
    source = ", ".join(columns) or "the label table"
    raise DataError(
        f"{endless} of {sum(labels.values())} labels are NaN or infinite, from {source}",
        hint="Make such values null in the model they come from: what is null is left out.",
    )
