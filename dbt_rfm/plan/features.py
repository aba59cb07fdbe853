"""The whole feature plan: what to run, in order, for a set of examples.

In: the scope (schema and what may be seen), the entity, the horizon, whether the anchors are few. Out: session tables
to make first, then blocks to read. Everything is as of each example; the blocks say how.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dbt_rfm.plan.blocks import Block, Names, Step
from dbt_rfm.plan.bounds import bounds_select
from dbt_rfm.plan.calendar import calendar_block, moment_block
from dbt_rfm.plan.children import children_blocks
from dbt_rfm.plan.conditions import Leaf, comparisons
from dbt_rfm.plan.event_groups import own_step
from dbt_rfm.plan.event_history import history_blocks
from dbt_rfm.plan.event_outcome import Outcome
from dbt_rfm.plan.event_seen import seen_blocks
from dbt_rfm.plan.kin import MAX_CO_PARENT_BLOCKS, co_parent_blocks, newest_parents_steps, sibling_blocks
from dbt_rfm.plan.own import own_block
from dbt_rfm.plan.past_labels import everybody_block, past_labels_block
from dbt_rfm.plan.shared_keys import shared_keys_blocks
from dbt_rfm.plan.upcoming import upcoming_blocks
from dbt_rfm.plan.values import Derived, Scope, too_wide
from dbt_rfm.plan.windows import in_brief, look_backs
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundArithmetic,
    BoundColumn,
    BoundComparison,
    Task,
    aggregations_of,
    leaves,
)
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.types import Table
from dbt_rfm.task_kind import TaskKind

_ROWWISE = {"MIN", "MAX", "AVG", "SUM", "FIRST", "LAST"}


@dataclass(frozen=True)
class FeaturePlan:
    steps: tuple[Step, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()


def feature_plan(
    scope: Scope,
    names: Names,
    entity: tuple[Table, str],
    *,
    kind: TaskKind,
    horizon: Window | None,
    few_anchors: bool,
    past_labels: bool = True,
    of_events: bool = False,
    outcome: Outcome | None = None,
    shared_keys: bool = False,
) -> FeaturePlan:
    """Steps and blocks for the session table of examples.

    With many anchors, all time of a large parent would be read for each of them: kin then look back over the finite
    windows only, and the rate over everybody, which belongs to a grid of anchors, is left out. Events at
    their own times have a way of their own to look at their kin; `outcome` is what they are asked for, if it counts.
    """
    table, key = entity
    scope = replace(scope, ahead=kind is not TaskKind.FORECAST)
    windows = look_backs(horizon)
    windows = in_brief(windows) if scope.brief else windows
    steps = [Step(names.bounds, bounds_select(names.examples, windows))]
    own = own_block(scope, names, table, key, of_events=of_events)
    blocks = [own] if own else []
    # The level of a series is told by its own past.
    blocks += children_blocks(scope, names, table, key, windows, flags=kind is not TaskKind.FORECAST)
    if horizon is not None:
        blocks += upcoming_blocks(scope, names, table, key, horizon)
    of_kin = windows if few_anchors else windows[:-1]
    if of_events:
        steps.append(own_step(scope, names, table, key))
        blocks += [*history_blocks(scope, names, table, windows, outcome), moment_block(names)]
        blocks += seen_blocks(scope, names, table, key)
    else:
        blocks += sibling_blocks(scope, names, table, key, of_kin)
    of_parents: list[Block] = []
    newest = () if scope.brief else newest_parents_steps(scope, names, table, key)
    for step, down, others in newest:
        steps.append(step)
        of_parents += co_parent_blocks(scope, names, step, down, others, of_kin)
    blocks += of_parents[:MAX_CO_PARENT_BLOCKS]
    if past_labels:
        blocks.append(past_labels_block(names, kind))
        everybody = everybody_block(names, kind)
        blocks += [everybody] if everybody and few_anchors else []
    if shared_keys:
        blocks += shared_keys_blocks(scope, names, table, key)
    blocks.append(calendar_block(names, horizon))
    tables = [t for t in scope.graph.schema.tables if t.name != table.name]
    notes = [note for t in tables if (note := too_wide(scope, t))]
    return FeaturePlan(tuple(steps), tuple(blocks), tuple(notes))


def derived_of(task: Task) -> tuple[Derived, ...]:
    """What the target asks of single rows: its inner WHERE, and its comparison on a row's own value."""
    found: list[Derived] = []
    for aggregation in aggregations_of(task.target):
        if aggregation.where is not None and all(_is_told(leaf) for leaf in leaves(aggregation.where)):
            found.append(Derived(aggregation.table.name, f"asked{len(found) or ''}", aggregation.where))
    for comparison in comparisons(task.target):
        left, value = comparison.left, comparison.value
        if isinstance(value, BoundAggregation | BoundColumn | BoundArithmetic):
            continue  # what it is compared with is no row's own
        if isinstance(left, BoundAggregation) and left.column is not None and left.function in _ROWWISE:
            column = BoundColumn(left.table, left.column)
            if not _is_told(column):
                continue
            rowwise = BoundComparison(column, comparison.operator, value)
            found.append(Derived(left.table.name, f"asked{len(found) or ''}", rowwise))
    return tuple(dict.fromkeys(found))


def _is_told(leaf: Leaf) -> bool:
    """Whether the row itself tells the column at any time: none of a parent, and no time that may not have come yet."""
    if not isinstance(leaf, BoundColumn) or leaf.path:
        return False
    own = (leaf.table.time_column, leaf.table.valid_from)
    return family(leaf.column.data_type) is not Family.TIME or leaf.column.name in own
