"""Run the plan of a recommendation on a warehouse: who is asked, which items may be recommended, pairs with features.

In: a task of kind LINK, the prediction anchor A. Out: a `Snapshot` with one example per (entity, anchor, item).
Time rule: an entity at an anchor is a group. Groups to learn from have windows closed by A and hold something in them
(a list that stays empty ranks nothing); the backtest is the newest closed window, with groups closed before it began.
Everything that is read of a group is as of its anchor (plan/candidates.py).

`ranking_snapshot` finds groups and labels itself, `ranking_labelled` takes lists as given, as benchmarks have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.collect.assemble import assemble, in_order
from dbt_rfm.collect.choice import from_windows, require_entities
from dbt_rfm.collect.collecting import Collecting, Found, in_tables
from dbt_rfm.collect.label_shares import smoothed
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.anchors import shifted
from dbt_rfm.plan.asked import asked_rows
from dbt_rfm.plan.blocks import Block
from dbt_rfm.plan.candidates import QUICK_WITNESSES, WITNESSES, Limits, candidate_steps, history_steps
from dbt_rfm.plan.examples import drawn_select, examples_select, of_split, query_examples
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.interactions import (
    amounts_of,
    catalogue,
    interactions_select,
    listed_select,
    parts_of,
    relevant_select,
    rows_select,
)
from dbt_rfm.plan.pairs import labelled_select, pair_block, pairs_select, shares_select
from dbt_rfm.plan.part import known_rows, part_select, ways_of
from dbt_rfm.plan.signals import LOOK_BACK_DAYS, signal_steps, signals_of
from dbt_rfm.plan.template import statement
from dbt_rfm.pql.attributes import seen_schema
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.shards.parts import ROW, group_bounds, said_of
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.session import Session

CONTEXT_GROUPS, BACKTEST_GROUPS = 800, 1000
_PAIR = ("example_id", "split", "entity", "anchor_time", "item", "label", "relevant")
MIN_WINDOWS, MAX_WINDOWS = 2, 6  # that are learnt from: as many as hold enough groups


def sizes_of(task: Task) -> Task:
    """The task that asks how many items there are in the window: the same entities, windows and conditions."""
    target, _ = parts_of(task)
    counted = replace(target, function="COUNT_DISTINCT")
    return replace(task, kind=TaskKind.REGRESSION, target=counted, ranking=None)


def ranking_snapshot(run: Collecting, notes: Sequence[str]) -> Snapshot:
    """The snapshot of a recommendation. Raises DataError where the rows do not allow an answer.

    In a brief one fewer entities tell which items go together, and of very many rows those of a part of them count.
    """
    require_entities(run.session, run.graph, run.task)
    if run.brief and run.task.entity_ids:
        run = _of_a_part(run)
    session, graph, task, options = run.session, run.graph, run.task, run.options
    if not session.count(graph.read(parts_of(task)[1].items, "i")):
        raise DataError(f"table {parts_of(task)[1].items.name} has no rows, so there is nothing to recommend")
    session.create(session.names("interactions"), interactions_select(task, graph))
    choice = from_windows(session, graph, sizes_of(task), run.anchor)
    windows = _windows_with_groups(run)
    if not windows:
        raise DataError(choice.nothing_to_learn.replace("gives a label", "holds an item"), hint=choice.hint)
    tested = max(_anchors_of(run))
    splits = [(CONTEXT, windows[:MAX_WINDOWS])]
    if options.backtest and tested in windows and windows[1:]:
        splits += [(BACKTEST_CONTEXT, windows[1 : MAX_WINDOWS + 1]), (BACKTEST, [tested])]
    _label_groups(run, windows[: MAX_WINDOWS + 1])
    assert isinstance(choice.query, exp.Select), "windows ask with a SELECT"
    asked = query_examples(choice.query, task.entity_ids, "double")
    _groups(run, [(QUERY, asked), *((split, _drawn(run, split, moments)) for split, moments in splits)])
    return _snapshot(run, [*notes, *choice.notes], nobody=choice.nobody_asked)


def ranking_labelled(
    task: Task,
    schema: RelationalSchema,
    warehouse: Warehouse,
    options: Options,
    *,
    labels: pa.Table,
    cut: datetime | None = None,
    query_rows: int | None = None,
) -> Snapshot:
    """The snapshot of given lists: `labels` has entity, anchor_time, label (a list of keys), known_at and split.

    `context` rows may be learnt from if known by the first query anchor, `query` rows are asked, at most `query_rows`
    of them by lot. The relevant items of asked rows are kept in no label: who evaluates has them.
    """
    graph = Graph(seen_schema(schema, task), warehouse.dialect)
    with Session(warehouse) as session:
        asked = labels.filter(pc.equal(labels["split"], QUERY))["anchor_time"]
        run = Collecting(session, graph, task, options, pc.max(asked).as_py())
        session.create(session.names("interactions"), interactions_select(task, graph))
        _load_lists(session, labels)
        context = labels.filter(pc.equal(labels["split"], CONTEXT))
        moments = sorted(pc.unique(context["anchor_time"]).to_pylist(), reverse=True)
        drawn = drawn_select(session.names, size=query_rows or 2**31, seed=options.seed, conditions=[of_split(QUERY)])
        chosen = _enough(_sizes(run, [of_split(CONTEXT)]), moments)
        splits = [(QUERY, drawn), (CONTEXT, _drawn(run, CONTEXT, chosen, [of_split(CONTEXT)]))]
        _groups(run, splits, sql.timestamp(cut) if cut is not None else None)
        return _snapshot(run, [], nobody="nobody is asked")


def _of_a_part(run: Collecting) -> Collecting:
    """The same with the rows of some entities alone, where all rows are too many for a quick answer."""
    session, graph, task = run.session, run.graph, run.task
    (known,) = session.query(known_rows(task, graph, sql.timestamp(run.anchor))).to_pylist()
    keys = part_select(task, graph, rows=known["rows"], entities=known["entities"], seed=run.options.seed)
    if keys is None:
        return run
    entity, ways = (task.entity.table, task.entity.column.name), ways_of(task, signals_of(task, graph))
    graph, steps = asked_rows(graph, session.names, entity, keys, with_rows=False, ways=ways)
    session.run(steps)
    return replace(run, graph=graph)


def _load_lists(session: Session, labels: pa.Table) -> None:
    """Given lists as the session tables labels (their lengths) and relevant (their items)."""
    names = session.names
    lists = labels["label"].combine_chunks()
    rows = pc.list_parent_indices(lists)
    columns = {"entity": labels["entity"].take(rows), "anchor_time": labels["anchor_time"].take(rows)}
    session.load(names("relevant"), pa.table({**columns, "item": pc.list_flatten(lists)}))
    sizes = pc.list_value_length(lists).cast(pa.float64())
    session.load(names.labels, labels.drop_columns("label").append_column("label", sizes))


def _anchors_of(run: Collecting) -> list[datetime]:
    select = sql.select(sql.column("anchor_time")).from_(sql.temporary(run.session.names("anchors")), copy=False)
    return run.session.query(select).column(0).to_pylist()


def _sizes(run: Collecting, conditions: Sequence[exp.Expression] = ()) -> dict[datetime, int]:
    """How many groups hold an item, per anchor."""
    at = sql.column("anchor_time", "l")
    holds = exp.GT(this=sql.column("label", "l"), expression=exp.Literal.number(0))
    query = sql.select(at, sql.aliased(exp.Count(this=exp.Star()), "n"))
    query = query.from_(sql.temporary(run.session.names.labels, "l"), copy=False).where(holds, *conditions, copy=False)
    rows = run.session.query(query.group_by(at.copy(), copy=False)).to_pylist()
    return {row["anchor_time"]: row["n"] for row in rows}


def _windows_with_groups(run: Collecting) -> list[datetime]:
    """The anchors whose windows hold something, newest first; one more than are learnt from, for the backtest."""
    sizes = _sizes(run)
    return sorted(sizes, reverse=True)[: MAX_WINDOWS + 1]


def _enough(sizes: dict[datetime, int], moments: Sequence[datetime]) -> list[datetime]:
    """The newest moments that together have enough groups."""
    chosen: list[datetime] = []
    groups = 0
    for moment in moments:
        if len(chosen) >= MIN_WINDOWS and (groups >= CONTEXT_GROUPS or len(chosen) == MAX_WINDOWS):
            break
        chosen.append(moment)
        groups += sizes.get(moment, 0)
    return chosen


def _label_groups(run: Collecting, moments: Sequence[datetime]) -> None:
    """The session table `relevant`, and `labels` with the number of relevant items, where there is one."""
    session, names = run.session, run.session.names
    window = parts_of(run.task)[0].window
    columns = {
        "anchor_time": list(moments),
        "opens": [shifted(m, window.start or 0, window.unit) for m in moments],
        "closes": [shifted(m, window.end, window.unit) for m in moments],
    }
    session.load(names("windows"), pa.table({n: pa.array(v, type=pa.timestamp("us")) for n, v in columns.items()}))
    session.create(names("listed"), listed_select(run.task, run.graph))
    session.create(names("relevant"), relevant_select(run.task, names))
    session.create(names("held"), statement(_HELD, names, "labels", "relevant"))
    session.create(names.labels, statement("SELECT h.* FROM held AS h", names, "held"))


_HELD = """
SELECT l.entity, l.anchor_time, l.known_at, CAST(r.n AS DOUBLE) AS label
FROM labels AS l
JOIN (
    SELECT r.entity, r.anchor_time, COUNT(*) AS n FROM relevant AS r GROUP BY r.entity, r.anchor_time
) AS r ON r.entity = l.entity AND r.anchor_time = l.anchor_time
"""


def _drawn(
    run: Collecting, split: str, moments: Sequence[datetime], conditions: Sequence[exp.Expression] = ()
) -> exp.Select:
    chosen = list(moments) if split == BACKTEST else _enough(_sizes(run, conditions), moments)
    at = exp.In(this=sql.column("anchor_time", "l"), expressions=[sql.timestamp(m) for m in chosen])
    size = BACKTEST_GROUPS if split == BACKTEST else CONTEXT_GROUPS
    return drawn_select(run.session.names, size=size, seed=run.options.seed, conditions=[at, *conditions])


def _groups(run: Collecting, splits: Sequence[tuple[str, exp.Expression]], cut: exp.Expression | None = None) -> None:
    """The session tables `examples`, the groups, and `moments`, their distinct as_of."""
    session, names, horizon = run.session, run.session.names, run.task.horizon
    assert horizon is not None, "a list has a window"
    session.create(names.examples, examples_select(splits, cut))
    distinct = sql.select(sql.column("as_of")).distinct(copy=False).from_(sql.temporary(names.examples), copy=False)
    at = sorted(session.query(distinct).column(0).to_pylist())
    once = [shifted(m, -horizon.end, horizon.unit) for m in at]
    thrice = [shifted(m, -3 * horizon.end, horizon.unit) for m in at]
    month = [shifted(m, -LOOK_BACK_DAYS, "days") for m in at]
    quarter = [m - (m - s) / 4 for m, s in zip(at, once, strict=True)]
    columns = {"at": at, "since_q": quarter, "since_1": once, "since_3": thrice}
    columns["since_s"] = [min(*each) for each in zip(thrice, month, strict=True)]
    table = pa.table({name: pa.array(values, type=pa.timestamp("us")) for name, values in columns.items()})
    days = [(m - s).total_seconds() / sql.SECONDS_PER_DAY for m, s in zip(at, once, strict=True)]
    session.load(names("moments"), table.append_column("days", pa.array(days, type=pa.float64())))


def _snapshot(run: Collecting, notes: Sequence[str], *, nobody: str) -> Snapshot:
    session, task = run.session, run.task
    _, ranking = parts_of(task)
    blocks = [_pairs(run)]
    shares = _shares(session)
    session.create(session.names("pairs"), pairs_select(session.names, size=run.options.context, seed=run.options.seed))
    found = _found(run, blocks)
    splits = pc.unique(found.examples["split"]).to_pylist()
    if CONTEXT not in splits:
        raise DataError(
            f"there is nothing to learn from: in no past window was there a row of {ranking.items.name} to recommend",
            hint=f"A row counts from its time on. Is the time column of {ranking.items.name} when it came to be?",
        )
    asked = f" with {task.entity.column.name} {', '.join(map(str, task.entity_ids))}" if task.entity_ids else ""
    said = said_of(found.shards)
    more = [*_notes(splits, run.options, f"{nobody}{asked}"), *([said] if said else [])]
    return replace(
        run.snapshot(found, (*notes, *more)),
        label_shares=shares,
        ranking={
            "item": ranking.link.parent_column,
            "number": ranking.number,
            "items": session.count(run.graph.read(ranking.items, "i")),
        },
    )


def _pairs(run: Collecting) -> Block:
    """The features of pairs; makes the session table `labelled` of all pairs of a group and a candidate."""
    session, names, horizon = run.session, run.session.names, run.task.horizon
    assert horizon is not None, "a list has a window"
    _, ranking = parts_of(run.task)
    found = catalogue(run.task, run.graph, names)
    session.create(names("catalogue"), found.select)
    kinds, amounts = len(found.kinds), [v.label for v in amounts_of(run.task, run.graph)]
    witnesses = QUICK_WITNESSES if run.brief else WITNESSES
    signals = signals_of(run.task, run.graph)
    limits = Limits.of(session.count(sql.temporary(names.examples)), ranking.number, len(signals))
    session.run(history_steps(names, kinds, len(amounts), witnesses=witnesses))
    for k, signal in enumerate(signals):
        session.create(names(f"signal{k}"), rows_select(signal.rows, run.graph))
        session.run(signal_steps(names, k))
    unseen = ranking.exclude_seen
    session.run(candidate_steps(names, limits, kinds, exclude_seen=unseen, signals=len(signals)))
    session.create(names("labelled"), labelled_select(names))
    return pair_block(names, found, amounts, horizon, [signal.label for signal in signals])


def _found(run: Collecting, blocks: Sequence[Block]) -> Found:
    """Pairs and their features: all, or those that the first shard of a large answer needs."""
    session, tables, pairs = run.session, run.tables, run.session.names("pairs")
    examples = in_order(pairs, _PAIR)
    bounds, groups = group_bounds(session, pairs, tables.size) if tables is not None else ([], 0)
    if tables is not None and bounds:
        found = in_tables(tables, bounds, examples, blocks, [ROW])
        return replace(found, shards={**found.shards, "groups": groups})
    features, meta = assemble(session, blocks)
    return Found(session.query(examples), features, meta)


def _notes(splits: Sequence[str], options: Options, nobody: str) -> Iterator[str]:
    if QUERY not in splits:
        yield f"{nobody}: the prediction is empty"
    if options.backtest and not {BACKTEST, BACKTEST_CONTEXT} <= set(splits):
        yield "no backtest: nothing came in the newest closed window, or there is nothing to learn from before it"


def _shares(session: Session) -> dict[str, dict[str, float]]:
    """How likely a candidate is relevant at all, per context."""
    counts: dict[str, dict[str, int]] = {}
    for row in session.query(shares_select(session.names)).to_pylist():
        counts.setdefault(row["split"], {})["true" if row["label"] else "false"] = row["n"]
    return {split: smoothed(found, ("false", "true")) for split, found in counts.items()}
