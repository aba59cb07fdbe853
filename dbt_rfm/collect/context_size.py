"""How many labelled examples a context holds: as many as the options say; where they say nothing, more of a rare event.

In: who may be learnt from. Out: a number for each context. A model learns what is rare from the few examples that show
it and from many that do not (figures in docs/LOG.md, 2026-11-29). So of two classes the context grows until it would
hold `RARE` of the rarer one, were it drawn without a minimum of each class.
Time rule: classes are counted among the labels that the context is drawn from, for the backtest among its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.collect.choice import Choice
from dbt_rfm.model import rare_context
from dbt_rfm.options import AUTO, Options
from dbt_rfm.plan import sql
from dbt_rfm.snapshot import BACKTEST_CONTEXT, CONTEXT
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.session import Session

RARE = 400


def with_sizes(session: Session, kind: TaskKind, options: Options, choice: Choice) -> Choice:
    """The choice with the size of its contexts, and a note where it is not the usual one."""
    usual = options.context
    sizes, notes = {CONTEXT: usual, BACKTEST_CONTEXT: usual}, list(choice.notes)
    most = usual if options.context_size is not None or options.model == AUTO else rare_context(options.model)
    if kind != TaskKind.BINARY or most <= usual:
        return replace(choice, sizes=sizes)
    for split, conditions in ((CONTEXT, choice.context), (BACKTEST_CONTEXT, choice.backtest_context)):
        rows, rarer = _counts(session, conditions) if conditions else (0, 0)
        if rarer and rows > usual and rarer * usual < RARE * rows:
            sizes[split] = min(rows, most, RARE * rows // rarer)
            if split == CONTEXT:
                notes.append(
                    f"{sizes[split]:,} examples are read, not {usual:,}, since the rarer answer is that of "
                    f"{rarer / rows:.1%}; the option context_size takes fewer"
                )
    return replace(choice, sizes=sizes, notes=notes)


def _counts(session: Session, conditions: Sequence[exp.Expression]) -> tuple[int, int]:
    """(labels, labels of the rarer class)"""
    true = exp.Sum(this=sql.zero_or_one(sql.column("label", "l")))
    select = sql.select(sql.aliased(exp.Count(this=sql.column("label", "l")), "n"), sql.aliased(true, "positive"))
    select = select.from_(sql.temporary(session.names.labels, "l"), copy=False)
    found = session.query(select.where(*(c.copy() for c in conditions), copy=False)).to_pylist()[0]
    rows, positive = int(found["n"]), int(found["positive"] or 0)
    return rows, min(positive, rows - positive)
