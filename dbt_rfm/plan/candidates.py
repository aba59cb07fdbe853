"""What may be recommended to whom: a few dozen items for each group (an entity at an anchor), in set-based SQL.

In: session tables `interactions`, `moments` (the distinct as_of of the groups with the starts of three windows before
each), `catalogue`, and `examples` (the groups). Out: steps that make
    watched      (at, entity): those of the groups, and the witnesses, whose items are counted together
    history      (at, entity, item): how often and when, with the item's place among the entity's own, of the watched
    habits       (at, entity): how many items, occasions and visits, of the watched
    shelf        the catalogue with popularity over several windows, repeat share, age and places
    together     (at, a, b, score): items that the same entities have, by cosine of their counts
    suggested    (group_id, item): what the entity's newest items go together with
    candidates   (group_id, item)
Time rule: everything is as of the group's as_of; `at` is that moment, and a row counts once it is known by then.

Six sources: the entity's own items, newest and most frequent; what goes together with them; what is popular in the last
window; what is rising; what is new; what is popular among the kinds the entity has most of. Somebody without a history
gets the popular, the rising and the new. Each signal (`signals.py`) adds two: what the entity saw, and what most see.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.plan.signals import RECENT, SIGHTS
from dbt_rfm.plan.template import statement

MAX_PAIRS = 2_000_000  # candidates of all groups together
MAX_SUGGESTED = 150_000_000  # seeds of all groups times their neighbours; a fifth of them, or less, are there
_USUAL, _OF_SIGNAL = 250, 75  # candidates of a group without a limit, and of each signal
WITNESSES = 10_000  # entities, the latest active, whose items are counted together
QUICK_WITNESSES = 1_000  # the same for a quick answer
_WITNESSED = 40  # newest items of each


@dataclass(frozen=True)
class Limits:
    """How many candidates of a group come from each source."""

    own: int = 100
    frequent: int = 60
    together: int = 50
    popular: int = 50
    rising: int = 15
    new: int = 10
    alike: int = 20
    seen: int = 60
    noticed: int = 15
    seeds: int = 30  # newest own items that suggest others
    neighbours: int = 40  # suggested by each

    @classmethod
    def of(cls, groups: int, number: int, signals: int = 0) -> Limits:
        """Fewer for very many groups, but always enough for a list of `number`."""
        share = min(1.0, MAX_PAIRS / ((_USUAL + signals * _OF_SIGNAL) * max(groups, 1)))
        usual = cls()
        shares = dict.fromkeys(cls.__dataclass_fields__, share)
        suggested = usual.seeds * usual.neighbours * max(groups, 1)
        shares |= dict.fromkeys(("seeds", "neighbours"), min(1.0, MAX_SUGGESTED / suggested) ** 0.5)
        less = {n: max(5, int(getattr(usual, n) * part)) for n, part in shares.items()}
        return cls(**{**less, "own": max(less["own"], min(number, 200)), "popular": max(less["popular"], number)})


def history_steps(names: Names, kinds: int, amounts: int, *, witnesses: int = WITNESSES) -> list[Step]:
    """watched, history, habits, shelf; so many category columns has the catalogue, so many amounts each interaction."""
    sums = "".join(f", SUM(i.q{j}) AS q{j}" for j in range(amounts))
    of_watched = ("watched", "interactions", "moments", "catalogue")
    made = {
        "witnesses": (_WITNESSES.format(n=witnesses), ("interactions", "moments", "catalogue")),
        "watched": (_WATCHED, ("witnesses", "examples")),
        "history": (_HISTORY.format(recent=RECENT, sums=sums, rows=_OF_WATCHED), of_watched),
        "habits": (_HABITS.format(rows=_OF_WATCHED), ("history", *of_watched)),
        "shelf": (_SHELF, ("catalogue", "interactions", "moments")),
        **{f"taste{j}": (_TASTE.format(j=j), ("history", "catalogue")) for j in range(kinds)},
    }
    return [Step(names(name), statement(text, names, *tables)) for name, (text, tables) in made.items()]


def candidate_steps(names: Names, limits: Limits, kinds: int, *, exclude_seen: bool, signals: int = 0) -> list[Step]:
    """together, suggested, candidates."""
    together, suggested = _TOGETHER.format(n=limits.neighbours), _SUGGESTED.format(n=limits.seeds)
    return [
        Step(names("witnessed"), statement(_WITNESSED_ITEMS, names, "history", "witnesses")),
        Step(names("together"), statement(together, names, "witnessed")),
        Step(names("suggested"), statement(suggested, names, "examples", "history", "together")),
        Step(names("candidates"), _candidates(names, limits, kinds, exclude_seen, signals)),
    ]


def _candidates(names: Names, limits: Limits, kinds: int, exclude_seen: bool, signals: int) -> exp.Select:
    sources = [_POPULAR.format(n=limits.popular, more="+ COALESCE(LEAST(t.items, 1000), 0)" if exclude_seen else "")]
    sources += [_ON_SHELF.format(place=p, n=n) for p, n in (("rising", limits.rising), ("newest", limits.new))]
    sources += [_SUGGESTIONS.format(n=limits.together)]
    sources += [_ALIKE.format(j=j, n=limits.alike) for j in range(kinds)]
    sources += [SIGHTS.format(k=k, seen=limits.seen, noticed=limits.noticed) for k in range(signals)]
    if not exclude_seen:
        sources.append(_OWN.format(own=limits.own, frequent=limits.frequent))
    unseen = "AND h.item IS NULL" if exclude_seen else ""
    text = _CANDIDATES.format(sources=" UNION ALL ".join(sources), unseen=unseen)
    tastes = [f"taste{j}" for j in range(kinds)]
    sights = [f"{name}{k}" for k in range(signals) for name in ("seen", "noticed")]
    return statement(text, names, "examples", "history", "habits", "shelf", "suggested", *tastes, *sights)


_WITNESSES = """
SELECT t.at, t.entity
FROM (
    SELECT t.at, t.entity, ROW_NUMBER() OVER (PARTITION BY t.at ORDER BY t.latest DESC, t.entity) AS place
    FROM (
        SELECT m.at, i.entity, MAX(i.happened) AS latest
        FROM interactions AS i
        JOIN moments AS m ON i.known <= m.at AND (i.until IS NULL OR i.until > m.at)
        JOIN catalogue AS g ON g.at = m.at AND g.item = i.item
        GROUP BY m.at, i.entity
    ) AS t
) AS t
WHERE t.place <= {n}
"""
_WATCHED = """
SELECT DISTINCT t.at, t.entity
FROM (SELECT w.at, w.entity FROM witnesses AS w UNION ALL SELECT e.as_of AS at, e.entity FROM examples AS e) AS t
"""
# By the moment of the entity, not of `moments`: else DuckDB meets every row with every moment first.
_OF_WATCHED = """
FROM interactions AS i
JOIN watched AS t ON t.entity = i.entity AND i.known <= t.at AND (i.until IS NULL OR i.until > t.at)
JOIN catalogue AS g ON g.at = t.at AND g.item = i.item
JOIN moments AS m ON m.at = t.at
"""
_HISTORY = """
SELECT c.*,
    ROW_NUMBER() OVER (PARTITION BY c.at, c.entity ORDER BY c.latest DESC, c.occasions DESC, c.item) AS newest,
    ROW_NUMBER() OVER (PARTITION BY c.at, c.entity ORDER BY c.occasions DESC, c.latest DESC, c.item) AS oftenest
FROM (
    SELECT m.at, i.entity, i.item, SUM(i.n) AS n, COUNT(*) AS occasions,
        SUM(CASE WHEN i.happened > m.since_1 THEN 1 ELSE 0 END) AS occasions_1,
        SUM(CASE WHEN i.happened > m.since_3 THEN 1 ELSE 0 END) AS occasions_3,
        {recent} AS recent,
        MIN(i.happened) AS began, MAX(i.happened) AS latest{sums}
    {rows}
    GROUP BY m.at, i.entity, i.item
) AS c
"""
_HABITS = """
SELECT c.*, v.visits, v.visits_3
FROM (
    SELECT h.at, h.entity, COUNT(*) AS items, SUM(h.occasions) AS occasions, SUM(h.occasions_1) AS occasions_1,
        SUM(h.occasions_3) AS occasions_3, MIN(h.began) AS began, MAX(h.latest) AS latest,
        AVG(CASE WHEN h.occasions > 1 THEN 1.0 ELSE 0.0 END) AS again,
        SUM(CASE WHEN h.occasions > h.occasions_1 THEN 1 ELSE 0 END) AS had,
        SUM(CASE WHEN h.occasions > h.occasions_1 AND h.occasions_1 > 0 THEN 1 ELSE 0 END) AS back
    FROM history AS h GROUP BY h.at, h.entity
) AS c
JOIN (
    SELECT o.at, o.entity, COUNT(*) AS visits, COUNT(CASE WHEN o.happened > o.since_3 THEN 1 END) AS visits_3
    FROM (SELECT DISTINCT m.at, m.since_3, i.entity, i.happened {rows}) AS o
    GROUP BY o.at, o.entity
) AS v ON v.at = c.at AND v.entity = c.entity
"""
# Everybody's rows are read at every moment: of each entity and item only what tells in which of the windows they fall.
_SHELF = """
SELECT g.*, s.began, s.latest, s.again, (s.back + 0.5) / (s.had + 10.0) AS returns,
    COALESCE(s.first_time, 0) AS first_time,
    COALESCE(s.entities, 0) AS entities, COALESCE(s.entities_q, 0) AS entities_q,
    COALESCE(s.entities_1, 0) AS entities_1, COALESCE(s.entities_3, 0) AS entities_3,
    ROW_NUMBER() OVER (
        PARTITION BY g.at
        ORDER BY COALESCE(s.entities_1, 0) DESC, COALESCE(s.entities_3, 0) DESC, COALESCE(s.entities, 0) DESC, g.item
    ) AS popular,
    ROW_NUMBER() OVER (
        PARTITION BY g.at ORDER BY COALESCE(CAST(s.entities_1 AS DOUBLE) / (s.entities_3 + 5.0), 0) DESC, g.item
    ) AS rising,
    ROW_NUMBER() OVER (PARTITION BY g.at ORDER BY COALESCE(g.born, s.began) DESC, g.item) AS newest
FROM catalogue AS g
LEFT JOIN (
    SELECT c.at, c.item, COUNT(*) AS entities, MIN(c.began) AS began, MAX(c.latest) AS latest,
        COUNT(CASE WHEN c.latest > m.since_q THEN 1 END) AS entities_q,
        COUNT(CASE WHEN c.latest > m.since_1 THEN 1 END) AS entities_1,
        COUNT(CASE WHEN c.latest > m.since_3 THEN 1 END) AS entities_3,
        AVG(CASE WHEN c.occasions > 1 THEN 1.0 ELSE 0.0 END) AS again,
        COUNT(CASE WHEN c.began <= m.since_1 THEN 1 END) AS had,
        COUNT(CASE WHEN c.began <= m.since_1 AND c.latest > m.since_1 THEN 1 END) AS back,
        COUNT(CASE WHEN c.began > m.since_1 THEN 1 END) AS first_time
    FROM (
        SELECT m.at, i.entity, i.item, COUNT(*) AS occasions, MIN(i.happened) AS began, MAX(i.happened) AS latest
        FROM interactions AS i
        JOIN moments AS m ON i.known <= m.at AND (i.until IS NULL OR i.until > m.at)
        GROUP BY m.at, i.entity, i.item
    ) AS c
    JOIN moments AS m ON m.at = c.at
    GROUP BY c.at, c.item
) AS s ON s.at = g.at AND s.item = g.item
"""
_TASTE = """
SELECT h.at, h.entity, g.c{j} AS kind, SUM(h.occasions) AS occasions,
    SUM(h.occasions) / SUM(SUM(h.occasions)) OVER (PARTITION BY h.at, h.entity) AS share,
    ROW_NUMBER() OVER (PARTITION BY h.at, h.entity ORDER BY SUM(h.occasions) DESC, g.c{j}) AS place
FROM history AS h
JOIN catalogue AS g ON g.at = h.at AND g.item = h.item
WHERE g.c{j} IS NOT NULL
GROUP BY h.at, h.entity, g.c{j}
"""
_WITNESSED_ITEMS = f"""
SELECT w.at, w.entity, w.item, COUNT(*) OVER (PARTITION BY w.at, w.item) AS entities
FROM (
    SELECT h.at, h.entity, h.item
    FROM history AS h
    JOIN witnesses AS t ON t.at = h.at AND t.entity = h.entity
    WHERE h.newest <= {_WITNESSED}
) AS w
"""
_TOGETHER = """
SELECT k.at, k.a, k.b, k.score
FROM (
    SELECT p.*, ROW_NUMBER() OVER (PARTITION BY p.at, p.a ORDER BY ROUND(p.score * 1000000000) DESC, p.b) AS place
    FROM (
        SELECT x.at, x.item AS a, y.item AS b,
            COUNT(*) / SQRT(CAST(MIN(x.entities) AS DOUBLE) * MIN(y.entities)) AS score
        FROM witnessed AS x
        JOIN witnessed AS y ON y.at = x.at AND y.entity = x.entity AND y.item <> x.item
        GROUP BY x.at, x.item, y.item
        HAVING COUNT(*) >= 2
    ) AS p
) AS k
WHERE k.place <= {n}
"""
# Rounded, because the last digits of a sum depend on the order of its rows, and ties must not.
_SUGGESTED = """
SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s.group_id ORDER BY ROUND(s.total * 1000000000) DESC, s.item) AS place
FROM (
    SELECT e.example_id AS group_id, t.b AS item, SUM(t.score) AS total, MAX(t.score) AS most, COUNT(*) AS links
    FROM examples AS e
    JOIN history AS h ON h.at = e.as_of AND h.entity = e.entity AND h.newest <= {n}
    JOIN together AS t ON t.at = h.at AND t.a = h.item
    GROUP BY e.example_id, t.b
) AS s
"""
_POPULAR = """
SELECT e.example_id AS group_id, s.item
FROM examples AS e
LEFT JOIN habits AS t ON t.at = e.as_of AND t.entity = e.entity
JOIN shelf AS s ON s.at = e.as_of AND s.popular <= {n} {more}
"""
_ON_SHELF = """
SELECT e.example_id AS group_id, s.item FROM examples AS e JOIN shelf AS s ON s.at = e.as_of AND s.{place} <= {n}
"""
_SUGGESTIONS = "SELECT u.group_id, u.item FROM suggested AS u WHERE u.place <= {n}"
_OWN = """
SELECT e.example_id AS group_id, h.item
FROM examples AS e
JOIN history AS h ON h.at = e.as_of AND h.entity = e.entity
WHERE h.newest <= {own} OR h.oftenest <= {frequent}
"""
_ALIKE = """
SELECT e.example_id AS group_id, s.item
FROM examples AS e
JOIN taste{j} AS t ON t.at = e.as_of AND t.entity = e.entity AND t.place = 1
JOIN (
    SELECT s.at, s.item, s.c{j} AS kind, ROW_NUMBER() OVER (PARTITION BY s.at, s.c{j} ORDER BY s.popular) AS place
    FROM shelf AS s
) AS s ON s.at = t.at AND s.kind = t.kind AND s.place <= {n}
"""
_CANDIDATES = """
SELECT DISTINCT c.group_id, s.item
FROM ({sources}) AS c
JOIN examples AS e ON e.example_id = c.group_id
JOIN shelf AS s ON s.at = e.as_of AND s.item = c.item
LEFT JOIN history AS h ON h.at = e.as_of AND h.entity = e.entity AND h.item = c.item
WHERE TRUE {unseen}
"""
