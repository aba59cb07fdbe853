"""Class shares of a context as they truly are, where it was drawn with more of a rare class than it should have.

In: the session tables of labels and draws, or counts. Out: per context the share of each class, for
`Snapshot.label_shares`. Half an example is added to every class, so that none is impossible.
Time rule: the labels are those that the context was drawn from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.collect.choice import Choice
from dbt_rfm.collect.collecting import Collecting
from dbt_rfm.plan import sql
from dbt_rfm.plan.examples import context_select, least_of_class
from dbt_rfm.snapshot import BACKTEST_CONTEXT, CONTEXT


def shares_without_minimum(run: Collecting, choice: Choice, examples: pa.Table) -> dict[str, dict[str, float]]:
    """Of each context in which a class needed the minimum of rare classes."""
    found: dict[str, dict[str, float]] = {}
    for split, conditions in ((CONTEXT, choice.context), (BACKTEST_CONTEXT, choice.backtest_context)):
        kind, size = run.task.kind, choice.sizes[split]
        least = least_of_class(kind, size)
        labels = examples.filter(pc.equal(examples["split"], split))["label"]
        classes = pc.value_counts(labels.cast(pa.string())).to_pylist()
        if not least or all(c["counts"] > least for c in classes):
            continue
        plain = context_select(run.session.names, kind, size=size, conditions=conditions, favour=False)
        found[split] = smoothed(_counts(run, plain), [c["values"] for c in classes])
    return found


def smoothed(counts: Mapping[str, int], classes: Iterable[str]) -> dict[str, float]:
    likely = {name: counts.get(name, 0) + 0.5 for name in classes}
    total = sum(likely.values())
    return {name: count / total for name, count in likely.items()}


def _counts(run: Collecting, context: exp.Select) -> dict[str, int]:
    label = sql.as_text(sql.column("label"))
    counted = sql.select(sql.aliased(label, "label"), sql.aliased(exp.Count(this=exp.Star()), "n"))
    counted = counted.from_(sql.subquery(context, "c"), copy=False).group_by(label.copy(), copy=False)
    return {row["label"]: row["n"] for row in run.session.query(counted).to_pylist()}
