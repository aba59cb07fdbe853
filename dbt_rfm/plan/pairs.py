"""Pairs of an entity and an item as examples, with what is known of each as of the group's anchor.

In: the session tables of `candidates.py`, and `relevant` (entity, anchor_time, item). Out: the session table `pairs`
(example_id, group_id, split, entity, anchor_time, as_of, item, label, relevant) and one block of features.
Time rule: every feature comes from tables made as of the group's as_of. A label is whether the item was in the window
after the anchor; pairs that are asked have none. `relevant` counts the items of that window, candidates or not.

Of labelled pairs to learn from only some are kept, by lot (md5 of group, item and seed): so many with the label true,
three times as many without.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, block
from dbt_rfm.plan.interactions import Catalogue
from dbt_rfm.plan.signals import signal_features, signal_joins, signal_tables
from dbt_rfm.plan.template import statement
from dbt_rfm.plan.values import CATEGORICAL, NUMERICAL
from dbt_rfm.pql.ast import Window
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Feature

#: Features that by themselves rank: what the baselines go by.
POPULARITY, OWN_TIMES, OWN_AGE, TOGETHER = "item.popular", "own.times", "own.age", "together.total"
_AGE = "DATE_DIFF('second', {0}, e.as_of) / 86400.0"


def labelled_select(names: Names) -> exp.Select:
    """The candidates with their labels: null where nobody knows yet."""
    return statement(_LABELLED, names, "candidates", "examples", "relevant")


def shares_select(names: Names) -> exp.Select:
    """(split, label, n) of the labelled candidates to learn from, before some are drawn."""
    return statement(
        f"""
        SELECT l.split, l.label, COUNT(*) AS n FROM labelled AS l
        WHERE l.split IN ('{CONTEXT}', '{BACKTEST_CONTEXT}') GROUP BY l.split, l.label
        """,
        names,
        "labelled",
    )


def pairs_select(names: Names, *, size: int, seed: int) -> exp.Select:
    """The pairs, numbered by split, group and item; at most `size` to learn from per split."""
    true = max(1, size // 4)
    text = _PAIRS.format(seed=int(seed), true=true, false=size - true)
    return statement(text, names, "labelled")


def pair_block(
    names: Names, found: Catalogue, amounts: Sequence[str], horizon: Window, signals: Sequence[str] = ()
) -> Block:
    """The features of each pair; `signals` are the labels of those whose session tables there are."""
    kinds = len(found.kinds)
    tables = [f"taste{j}" for j in range(kinds)] + [t for k in range(len(signals)) for t in signal_tables(k)]
    query = statement(_features_from(kinds, len(signals)), names, *_READ, *tables)
    short = f"{horizon.end}{horizon.unit[0]}"
    outputs = []
    features = _FEATURES | _of_attributes(found, amounts)
    for k, label in enumerate(signals):
        features |= signal_features(k, label)
    for name, text in features.items():
        kind = CATEGORICAL if text.startswith("@") else NUMERICAL
        feature = Feature(
            name.replace("{h}", short).replace("{3h}", f"{3 * horizon.end}{horizon.unit[0]}"), kind, "pair"
        )
        outputs.append((feature, _expression(text.removeprefix("@"), kind)))
    return block("pairs", query, sql.column("example_id", "e"), outputs)


def _expression(text: str, kind: str) -> exp.Expression:
    tree: exp.Expression = exp.maybe_parse(text, dialect="duckdb")
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", True)
    return sql.as_text(tree) if kind == CATEGORICAL else sql.as_double(tree)


def _of_attributes(found: Catalogue, amounts: Sequence[str]) -> dict[str, str]:
    """Amounts of the entity's rows with the item; the item's attributes and how much of the history has the same."""
    features = {f"own.{name}": f"h.q{j}" for j, name in enumerate(amounts)}
    for j, name in enumerate(found.kinds):
        features[f"item.{name}"] = f"@s.c{j}"
        features[f"alike.{name}"] = f"CASE WHEN t.items > 0 THEN COALESCE(t{j}.share, 0) END"
    for j, name in enumerate(found.numbers):
        features[f"item.{name}"] = f"s.v{j}"
    return features


def _features_from(kinds: int, signals: int) -> str:
    tastes = " ".join(
        f"LEFT JOIN taste{j} AS t{j} ON t{j}.at = e.as_of AND t{j}.entity = e.entity AND t{j}.kind = s.c{j}"
        for j in range(kinds)
    )
    seen = " ".join(signal_joins(k) for k in range(signals))
    return _FROM.format(tastes=tastes, seen=seen)


_LABELLED = f"""
SELECT c.group_id, c.item, e.split, e.entity, e.anchor_time, e.as_of, e.label AS relevant,
    CASE WHEN e.split = '{QUERY}' THEN NULL ELSE r.item IS NOT NULL END AS label
FROM candidates AS c
JOIN examples AS e ON e.example_id = c.group_id
LEFT JOIN relevant AS r ON r.entity = e.entity AND r.anchor_time = e.anchor_time AND r.item = c.item
"""
_OF_PAIR = "l.group_id, l.split, l.entity, l.anchor_time, l.as_of, l.item, l.label, l.relevant"
_PAIRS = f"""
SELECT ROW_NUMBER() OVER (ORDER BY p.group_id, p.item) - 1 AS example_id, p.group_id, p.split, p.entity,
    p.anchor_time, p.as_of, p.item, p.label, p.relevant
FROM (
    SELECT {_OF_PAIR} FROM labelled AS l WHERE l.split IN ('{QUERY}', '{BACKTEST}')
    UNION ALL
    SELECT {_OF_PAIR}
    FROM (
        SELECT l.*, ROW_NUMBER() OVER (
            PARTITION BY l.split, l.label
            ORDER BY MD5(CAST(l.group_id AS TEXT) || '|' || CAST(l.item AS TEXT) || '|' || '{{seed}}'),
                l.group_id, l.item
        ) AS place
        FROM labelled AS l WHERE l.split IN ('{CONTEXT}', '{BACKTEST_CONTEXT}')
    ) AS l
    WHERE l.place <= CASE WHEN l.label THEN {{true}} ELSE {{false}} END
) AS p
"""
_READ = ("pairs", "shelf", "history", "habits", "suggested")
_FROM = """
SELECT e.example_id
FROM pairs AS e
JOIN shelf AS s ON s.at = e.as_of AND s.item = e.item
LEFT JOIN history AS h ON h.at = e.as_of AND h.entity = e.entity AND h.item = e.item
LEFT JOIN habits AS t ON t.at = e.as_of AND t.entity = e.entity
LEFT JOIN suggested AS u ON u.group_id = e.group_id AND u.item = e.item
{tastes}
{seen}
"""
_FEATURES = {
    OWN_TIMES: "COALESCE(h.occasions, 0)",
    "own.rows": "COALESCE(h.n, 0)",
    "own.times.{h}": "COALESCE(h.occasions_1, 0)",
    "own.times.{3h}": "COALESCE(h.occasions_3, 0)",
    "own.recent": "COALESCE(h.recent, 0)",
    OWN_AGE: _AGE.format("h.latest"),
    "own.since": _AGE.format("h.began"),
    "own.place.newest": "h.newest",
    "own.place.oftenest": "h.oftenest",
    "own.per_visit": "COALESCE(h.occasions, 0) / GREATEST(t.visits, 1)",
    "own.per_visit.{3h}": "COALESCE(h.occasions_3, 0) / (t.visits_3 + 1.0)",
    # the time since, in units of the usual gap between two occasions
    "own.due": (
        "CASE WHEN h.occasions > 1 THEN DATE_DIFF('second', h.latest, e.as_of) * (h.occasions - 1.0)"
        " / GREATEST(DATE_DIFF('second', h.began, h.latest), 3600) END"
    ),
    "own.again": "CASE WHEN h.occasions > 0 THEN s.again END",
    "own.returns": "CASE WHEN h.occasions > 0 THEN s.returns END",
    "own.together": "CASE WHEN h.occasions > 0 THEN COALESCE(u.total, 0) END",
    POPULARITY: "s.popular",
    "item.entities": "s.entities",
    "item.entities.newest": "s.entities_q",
    "item.entities.{h}": "s.entities_1",
    "item.entities.{3h}": "s.entities_3",
    "item.again": "s.again",
    "item.returns": "s.returns",
    "item.first_time": "s.first_time",
    "item.rise": "(s.entities_1 + 1.0) / (s.entities_3 / 3.0 + 1.0)",
    "item.since": _AGE.format("COALESCE(s.born, s.began)"),
    "item.age": _AGE.format("s.latest"),
    "item.unseen.entities": "CASE WHEN h.occasions IS NULL THEN s.entities_q END",
    TOGETHER: "COALESCE(u.total, 0)",
    "together.most": "COALESCE(u.most, 0)",
    "together.links": "COALESCE(u.links, 0)",
    "together.place": "u.place",
    "entity.items": "COALESCE(t.items, 0)",
    "entity.times": "COALESCE(t.occasions, 0)",
    "entity.times.{h}": "COALESCE(t.occasions_1, 0)",
    "entity.times.{3h}": "COALESCE(t.occasions_3, 0)",
    "entity.visits": "COALESCE(t.visits, 0)",
    "entity.visits.{3h}": "COALESCE(t.visits_3, 0)",
    "entity.again": "t.again",
    "entity.returns": "(t.back + 0.5) / (t.had + 5.0)",
    "entity.age": _AGE.format("t.latest"),
    "entity.since": _AGE.format("t.began"),
}
