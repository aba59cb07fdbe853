"""Which entity, anchor and step become examples of a forecast.

In: session tables series (series.py), pairs(entity, j, anchor_time) of who was eligible at which edge, steps. Out:
SELECTs of (entity, j, anchor_time, step, label), and the examples of all splits with their windows.
Time rule: an example may be learnt from if its own window had closed by the limit, edge `until`; the step before may
be asked while a later step of the same anchor is still open. The draw is an md5 of entity, anchor, step and seed.

Each step gets the same number of examples; half of them from the newest windows, half spread over all of them. One
window alone would teach the luck of that week.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.examples import of_entities
from dbt_rfm.pql.ast import Scalar

NEWEST = 8  # windows from which half of a context comes
_COLUMNS = ("entity", "j", "anchor_time", "step", "label")


def pairs_select(eligible: exp.Select, windows: str) -> exp.Select:
    """(entity, j, anchor_time) of those eligible at the edges of the timeline."""
    query = sql.select(
        sql.column("entity", "q"), sql.aliased(sql.column("i", "w"), "j"), sql.column("anchor_time", "q")
    )
    query = query.from_(sql.subquery(eligible, "q"), copy=False)
    on = exp.EQ(this=sql.column("start_at", "w"), expression=sql.column("anchor_time", "q"))
    return sql.join(query, sql.temporary(windows, "w"), on)


def context_select(
    names: Names, *, until: int, since: int, steps: int, size: int, entities: int, seed: int
) -> exp.Select:
    """At most `size` labelled examples whose windows lie between edges `since` and `until`, of so many entities."""
    each = ceil(size / steps)
    draw = _draw("d", seed, "context")
    window = exp.Add(this=sql.column("j", "d"), expression=sql.column("step", "d"))
    is_new = exp.GT(this=window, expression=_number(until - NEWEST))  # step 1 of edge j is window j
    by = [sql.column("step", "d"), exp.Paren(this=is_new)]
    lot = sql.numbered([e.copy() for e in by], [draw])
    ranked = sql.select(exp.Star(), sql.aliased(draw.copy(), "draw"), sql.aliased(lot, "lot"))
    ranked = ranked.select(sql.aliased(by[1].copy(), "is_new"), copy=False)
    ranked = ranked.from_(sql.subquery(_triples(names, until, since, steps, entities, seed), "d"), copy=False)
    half = exp.LTE(this=sql.column("lot", "r"), expression=exp.Literal.number(each // 2))
    first = exp.and_(sql.column("is_new", "r"), half)
    tier = exp.Case(ifs=[exp.If(this=first, true=exp.Literal.number(0))], default=exp.Literal.number(1))
    place = sql.numbered([sql.column("step", "r")], [tier, sql.column("draw", "r")])
    placed = sql.select(*sql.columns((*_COLUMNS, "draw"), "r"), sql.aliased(place, "place"))
    placed = placed.from_(sql.subquery(ranked, "r"), copy=False)
    among = sql.numbered([], [sql.column("draw", "p")])
    kept = sql.select(*sql.columns(_COLUMNS, "p"), sql.aliased(among, "among"))
    kept = kept.from_(sql.subquery(placed, "p"), copy=False)
    kept = kept.where(exp.LTE(this=sql.column("place", "p"), expression=exp.Literal.number(each)), copy=False)
    final = sql.select(*sql.columns(_COLUMNS, "k")).from_(sql.subquery(kept, "k"), copy=False)
    return final.where(exp.LTE(this=sql.column("among", "k"), expression=exp.Literal.number(size)), copy=False)


def closed_select(names: Names, *, at: int, steps: int, entities: int, seed: int) -> exp.Select:
    """Every step of edge `at`, whose windows have closed, of at most so many entities."""
    drawn = _drawn_entities(names, entities, seed, "backtest", at=at)
    return _with_series(names, drawn, steps)


def asked_select(names: Names, eligible: exp.Select, entity_ids: Sequence[Scalar]) -> exp.Select:
    """Every step of the eligible entities, or of those asked for; without labels."""
    query = sql.select(
        sql.column("entity", "q"),
        sql.aliased(exp.Literal.number(0), "j"),
        sql.column("anchor_time", "q"),
        sql.column("step", "t"),
        sql.aliased(sql.none_of("double"), "label"),
    )
    query = query.from_(sql.subquery(eligible, "q"), copy=False)
    return of_entities(sql.join(query, sql.temporary(names("steps"), "t"), None), entity_ids)


def examples_select(names: Names, splits: Sequence[tuple[str, exp.Select]]) -> exp.Select:
    """(example_id, split, entity, j, anchor_time, as_of, step, forecast_from, forecast_until, label)."""
    queries = []
    for i, (split, query) in enumerate(splits):
        head = [sql.aliased(exp.Literal.string(split), "split"), sql.aliased(exp.Literal.number(i), "part")]
        queries.append(sql.select(*head, *sql.columns(_COLUMNS, "s")).from_(sql.subquery(query, "s"), copy=False))
    order = sql.columns(("part", "anchor_time", "entity", "step"), "x")
    example_id = exp.Sub(this=sql.numbered([], order), expression=exp.Literal.number(1))
    query = sql.select(
        sql.aliased(example_id, "example_id"),
        *sql.columns(("split", "entity", "j", "anchor_time"), "x"),
        sql.aliased(sql.column("anchor_time", "x"), "as_of"),
        sql.column("step", "x"),
        sql.aliased(sql.column("start_at", "w"), "forecast_from"),
        sql.aliased(sql.column("end_at", "w"), "forecast_until"),
        sql.column("label", "x"),
    )
    query = query.from_(sql.subquery(sql.union_all(queries), "x"), copy=False)
    window = exp.Sub(this=exp.Add(this=sql.column("j", "x"), expression=sql.column("step", "x")), expression=_number(1))
    return sql.join(query, sql.temporary(names("windows"), "w"), exp.EQ(this=sql.column("i", "w"), expression=window))


def bases_select(names: Names) -> exp.Select:
    """(example_id, entity, j, anchor_time, as_of): each entity and anchor once, under its first example."""
    by = sql.columns(("entity", "j", "anchor_time", "as_of"))
    first = sql.aliased(exp.Min(this=sql.column("example_id")), "example_id")
    query = sql.select(first, *by).from_(sql.temporary(names.examples), copy=False)
    return query.group_by(*(c.copy() for c in by), copy=False)


def _triples(names: Names, until: int, since: int, steps: int, entities: int, seed: int) -> exp.Select:
    """Labelled (entity, anchor, step) whose window lies between the edges."""
    query = _with_series(names, _drawn_entities(names, entities, seed, "entity"), steps)
    inside = [
        exp.GTE(this=sql.column("i", "s"), expression=_number(since)),
        exp.LT(this=sql.column("i", "s"), expression=_number(until)),
    ]
    return query.where(*inside, copy=False)


def _with_series(names: Names, drawn: exp.Select, steps: int) -> exp.Select:
    """(entity, j, anchor_time, step, label): the pairs with those of their windows that have a value."""
    i, j = sql.column("i", "s"), sql.column("j", "p")
    ahead = exp.Sub(this=i, expression=j)
    step = exp.Add(this=ahead, expression=_number(1))
    query = sql.select(
        *sql.columns(("entity", "j", "anchor_time"), "p"), sql.aliased(step, "step"), sql.column("label", "s")
    )
    query = query.from_(sql.subquery(drawn, "p"), copy=False)
    on = [
        exp.EQ(this=sql.column("entity", "s"), expression=sql.column("entity", "p")),
        exp.GTE(this=i.copy(), expression=j.copy()),
        exp.LT(this=i.copy(), expression=exp.Add(this=j.copy(), expression=_number(steps))),
    ]
    return sql.join(query, sql.temporary(names("series"), "s"), sql.every(on))


def _drawn_entities(names: Names, number: int, seed: int, purpose: str, *, at: int | None = None) -> exp.Select:
    """The pairs of so many entities, by lot; with `at` those of that edge alone."""
    order = exp.Order(expressions=[exp.Ordered(this=_entity_draw(seed, purpose))])
    by_lot = exp.Window(this=exp.DenseRank(), order=order)
    ranked = sql.select(exp.Star(), sql.aliased(by_lot, "lot")).from_(sql.temporary(names("pairs"), "q"), copy=False)
    if at is not None:
        ranked = ranked.where(exp.EQ(this=sql.column("j", "q"), expression=_number(at)), copy=False)
    query = sql.select(*sql.columns(("entity", "j", "anchor_time"), "z")).from_(sql.subquery(ranked, "z"), copy=False)
    return query.where(exp.LTE(this=sql.column("lot", "z"), expression=exp.Literal.number(number)), copy=False)


def _entity_draw(seed: int, purpose: str) -> exp.Expression:
    text = exp.DPipe(this=sql.as_text(sql.column("entity", "q")), expression=exp.Literal.string(f"|{purpose} {seed}"))
    return exp.MD5(this=text)


def _draw(alias: str, seed: int, purpose: str) -> exp.Expression:
    text: exp.Expression = sql.as_text(sql.column("entity", alias))
    for part in (sql.moment_as_text(sql.column("anchor_time", alias)), sql.as_text(sql.column("step", alias))):
        separated = exp.DPipe(this=text, expression=exp.Literal.string("|"))
        text = exp.DPipe(this=separated, expression=part)
    return exp.MD5(this=exp.DPipe(this=text, expression=exp.Literal.string(f"|{purpose} {seed}")))


def _number(value: int) -> exp.Expression:
    return sql.literal(value)
