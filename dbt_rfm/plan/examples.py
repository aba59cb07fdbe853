"""Which entities at which anchors become examples.

In: a session table labels(entity, anchor_time, known_at, label). Out: SELECTs of (entity, anchor_time, label).
Time rule: an example may be learnt from if its label was known by the limit. The draw is the md5 of entity, anchor and
seed, so it does not depend on the order of rows or on other rows, and a later row cannot change it.

Half of a context comes from the newest anchors, which resemble the query most; half is spread over the older ones,
which have seen more (512 examples so mixed did better than 512 of the newest in our trial). A rare class keeps a
minimum, because nothing is learnt from three examples: up to a fifth of 1,000, and a fourth of fewer, where it has so
many (figures in docs/LOG.md); `label_shares` in the snapshot takes the probabilities back to the true shares.

A thousand are chosen of millions of labels, and to number millions in three orders takes longer than all features. So
the ends are found first (the oldest anchor of the newest half, the last draw), and only what lies within is numbered.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.staleness import Staleness
from dbt_rfm.pql.ast import Scalar
from dbt_rfm.snapshot import CONTEXT
from dbt_rfm.task_kind import TaskKind

MIN_OF_CLASS = {TaskKind.BINARY: 200, TaskKind.MULTICLASS: 10}
_COLUMNS = ("entity", "anchor_time", "label")


def with_known_at(labels: exp.Select, number: int, unit: str, kind: TaskKind) -> exp.Select:
    """Labels of windows (anchor, anchor + number units], known when the window closes; NaN is no label."""
    known = sql.later(sql.column("anchor_time", "l"), number, unit)
    query = sql.select(
        *sql.columns(("entity", "anchor_time"), "l"), sql.aliased(known, "known_at"), sql.column("label", "l")
    )
    query = query.from_(sql.subquery(labels, "l"), copy=False)
    if kind == TaskKind.REGRESSION:
        query = query.where(exp.NEQ(this=sql.column("label", "l"), expression=sql.not_a_number()), copy=False)
    return query


def least_of_class(kind: TaskKind, size: int) -> int:
    """How many examples of a class a context of `size` holds at least, where there are so many; 0 for a number."""
    return min(MIN_OF_CLASS[kind], max(size // 4, 1)) if kind in MIN_OF_CLASS else 0


def draws_select(names: Names, seed: int) -> exp.Select:
    """The labels, each with its lot `draw`: made once, because several contexts are drawn and each looks again."""
    drawn = sql.aliased(_draw("l", seed, "context"), "draw")
    everything = exp.Column(this=exp.Star(), table=sql.name("l"))
    return sql.select(everything, drawn).from_(sql.temporary(names.labels, "l"), copy=False)


def context_select(
    names: Names, kind: TaskKind, *, size: int, conditions: Sequence[exp.Expression], favour: bool = True
) -> exp.Select:
    """At most `size` labelled examples of the session table of draws that fulfil the conditions on labels `l`.

    Without `favour` rare classes get no minimum: what the context would have been, for its class shares.
    """
    least = least_of_class(kind, size) if favour else 0
    newest = sql.numbered([], [sql.column("anchor_time")], descending=True)
    newest.args["order"].append("expressions", exp.Ordered(this=sql.column("draw"), nulls_first=False))
    of_class = sql.numbered([sql.column("label")], [sql.column("draw")])
    ranked = sql.select(exp.Star(), sql.aliased(newest, "newest"), sql.aliased(of_class, "of_class"))
    ranked = ranked.from_(sql.temporary("near", "d"), copy=False)
    tier = exp.Case(ifs=_tiers(size, least), default=exp.Literal.number(2))
    chosen = sql.select(*sql.columns(_COLUMNS, "r")).from_(sql.subquery(ranked, "r"), copy=False)
    chosen = _first(chosen, [exp.Ordered(this=tier), _by_lot("r")], size)
    drawn = sql.select(*sql.columns((*_COLUMNS, "draw"), "l")).from_(sql.temporary(names.draws, "l"), copy=False)
    drawn = drawn.where(*conditions, copy=False)
    return sql.with_steps(chosen, [("drawn", drawn), *_limits(size, least), ("near", _near(least))])


def drawn_select(names: Names, *, size: int, seed: int, conditions: Sequence[exp.Expression]) -> exp.Select:
    """At most `size` examples that fulfil the conditions on labels `l`, by lot."""
    drawn = sql.select(*sql.columns(_COLUMNS, "l"), sql.aliased(_draw("l", seed, "context"), "draw"))
    drawn = drawn.from_(sql.temporary(names.labels, "l"), copy=False).where(*conditions, copy=False)
    query = sql.select(*sql.columns(_COLUMNS, "d")).from_(sql.subquery(drawn, "d"), copy=False)
    return _first(query, [_by_lot("d")], size)


def held_out(seed: int) -> exp.Expression:
    """True for a quarter of the entities of labels `l`, by lot: an attribute's backtest."""
    return exp.LT(this=_draw("l", seed, "held out"), expression=exp.Literal.string("4"))


def examples_select(
    splits: Sequence[tuple[str, exp.Expression]],
    cut: exp.Expression | None = None,
    staleness: Staleness | None = None,
) -> exp.Select:
    """(example_id, split, entity, anchor_time, as_of, label) of all splits, numbered in their order.

    `cut`: nothing later is seen; `staleness`: what the context lacks besides.
    """
    queries = []
    for i, (split, query) in enumerate(splits):
        head = [sql.aliased(exp.Literal.string(split), "split"), sql.aliased(exp.Literal.number(i), "part")]
        queries.append(sql.select(*head, *sql.columns(_COLUMNS, "s")).from_(sql.subquery(query, "s"), copy=False))
    order = [sql.column("part", "x"), sql.column("anchor_time", "x"), sql.column("entity", "x")]
    example_id = exp.Sub(this=sql.numbered([], order), expression=exp.Literal.number(1))
    anchor = sql.column("anchor_time", "x")
    ifs = [] if cut is None else [exp.If(this=exp.LT(this=cut, expression=anchor), true=cut)]
    if staleness is not None:
        ifs.append(
            exp.If(this=of_split(CONTEXT, "x"), true=staleness.as_of(anchor, _draw("x", staleness.seed, "staleness")))
        )
    as_of: exp.Expression = exp.Case(ifs=ifs, default=anchor) if ifs else anchor
    query = sql.select(
        sql.aliased(example_id, "example_id"),
        *sql.columns(("split", "entity", "anchor_time"), "x"),
        sql.aliased(as_of, "as_of"),
        sql.column("label", "x"),
    )
    return query.from_(sql.subquery(sql.union_all(queries), "x"), copy=False)


def query_examples(eligible: exp.Select, entity_ids: Sequence[Scalar], label_type: str) -> exp.Select:
    """(entity, anchor_time, label null) of the eligible entities, or of those asked for."""
    label = sql.none_of(label_type)
    query = sql.select(*sql.columns(("entity", "anchor_time"), "q"), sql.aliased(label, "label"))
    return of_entities(query.from_(sql.subquery(eligible, "q"), copy=False), entity_ids)


def of_entities(query: exp.Select, entity_ids: Sequence[Scalar]) -> exp.Select:
    """A query that reads the eligible entities under q, held to those asked for; all of them where none is named."""
    if not entity_ids:
        return query
    texts = [exp.Literal.string(str(i)) for i in entity_ids]
    return query.where(exp.In(this=sql.as_text(sql.column("entity", "q")), expressions=texts), copy=False)


def known_by(moment: exp.Expression) -> exp.Expression:
    return exp.LTE(this=sql.column("known_at", "l"), expression=moment)


def of_split(split: str, alias: str | None = "l") -> exp.Expression:
    return exp.EQ(this=sql.column("split", alias), expression=exp.Literal.string(split))


def _draw(alias: str, seed: int, purpose: str) -> exp.Expression:
    parts = [
        sql.as_text(sql.column("entity", alias)),
        sql.moment_as_text(sql.column("anchor_time", alias)),
        exp.Literal.string(f"{purpose} {seed}"),
    ]
    text = parts[0]
    for part in parts[1:]:
        text = exp.DPipe(this=exp.DPipe(this=text, expression=exp.Literal.string("|")), expression=part)
    return exp.MD5(this=text)


def _tiers(size: int, least: int) -> list[exp.If]:
    """0: the minimum of each class, 1: the newest half; the rest follow by lot."""
    newest = exp.LTE(this=sql.column("newest", "r"), expression=exp.Literal.number(size // 2))
    tiers = [exp.If(this=newest, true=exp.Literal.number(1))]
    if least:
        few = exp.LTE(this=sql.column("of_class", "r"), expression=exp.Literal.number(least))
        tiers.insert(0, exp.If(this=few, true=exp.Literal.number(0)))
    return tiers


def _limits(size: int, least: int) -> list[tuple[str, exp.Select]]:
    """How far in time and by lot those reach that may be chosen: rows found without putting all in order."""
    drawn = sql.temporary("drawn", "d")
    first = sql.select(*sql.columns(("anchor_time", "draw"), "d")).from_(drawn, copy=False)
    latest = exp.Ordered(this=sql.column("anchor_time", "d"), desc=True, nulls_first=False)
    newest = _ends(_first(first, [latest, _by_lot("d")], size // 2), since=exp.Min(this=sql.column("anchor_time")))
    by_lot = sql.select(*sql.columns(("label", "draw"), "d")).from_(drawn.copy(), copy=False)
    limits = [("newest", newest), ("lots", _first(by_lot, [_by_lot("d")], size))]
    limits.append(("lot", _ends(sql.select(sql.column("draw")).from_(sql.temporary("lots"), copy=False))))
    return [*limits, *_limits_of_classes(least)] if least else limits


def _limits_of_classes(least: int) -> list[tuple[str, exp.Select]]:
    """How far by lot the minimum of a class reaches, where the first lots do not have it: of the rare ones only."""
    enough = exp.GTE(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(least))
    met = sql.select(sql.column("label")).from_(sql.temporary("lots"), copy=False)
    met = met.group_by(sql.column("label"), copy=False).having(enough, copy=False)
    place = sql.numbered([sql.column("label", "d")], [sql.column("draw", "d")])
    placed = sql.select(*sql.columns(("label", "draw"), "d"), sql.aliased(place, "place"))
    placed = placed.from_(sql.temporary("drawn", "d"), copy=False)
    same = exp.EQ(this=sql.column("label", "m"), expression=sql.column("label", "d"))
    sql.join(placed, sql.temporary("met", "m"), same, side="LEFT")
    placed = placed.where(exp.Is(this=sql.column("label", "m"), expression=exp.Null()), copy=False)
    few = sql.select(*sql.columns(("label", "draw"), "p")).from_(sql.subquery(placed, "p"), copy=False)
    few = few.where(exp.LTE(this=sql.column("place", "p"), expression=exp.Literal.number(least)), copy=False)
    of_class = _ends(few, label=sql.column("label")).group_by(sql.column("label"), copy=False)
    return [("met", met), ("of_class", of_class)]


def _ends(rows: exp.Select, **more: exp.Expression) -> exp.Select:
    ends = {**more, "last": exp.Max(this=sql.column("draw"))}
    query = sql.select(*(sql.aliased(end, name) for name, end in ends.items()))
    return query.from_(sql.subquery(rows, "x"), copy=False)


def _near(least: int) -> exp.Select:
    """The rows within one of the limits: all that may be chosen, and few others."""
    query = sql.select(exp.Column(this=exp.Star(), table=sql.name("d")))
    query = query.from_(sql.temporary("drawn", "d"), copy=False)
    draw = sql.column("draw", "d")
    recent = exp.and_(
        exp.GTE(this=sql.column("anchor_time", "d"), expression=sql.column("since", "n")),
        exp.LTE(this=draw, expression=sql.column("last", "n")),
    )
    within = [recent, exp.LTE(this=draw.copy(), expression=sql.column("last", "o"))]
    for step, alias in (("newest", "n"), ("lot", "o")):
        sql.join(query, sql.temporary(step, alias), None)
    if least:
        same = exp.EQ(this=sql.column("label", "c"), expression=sql.column("label", "d"))
        sql.join(query, sql.temporary("of_class", "c"), same, side="LEFT")
        within.append(exp.LTE(this=draw.copy(), expression=sql.column("last", "c")))
    return query.where(exp.or_(*within), copy=False)


def _by_lot(alias: str) -> exp.Ordered:
    return exp.Ordered(this=sql.column("draw", alias), nulls_first=False)


def _first(query: exp.Select, order: Sequence[exp.Ordered], size: int) -> exp.Select:
    return query.order_by(*order, copy=False).limit(size, copy=False)
