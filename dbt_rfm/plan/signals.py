"""Other rows that bring an entity and an item together: what it looked at, put into a cart, wished for, rated.

In: a task of kind LINK. Out: those tables with their ways, SELECTs of their rows in the form of `interactions`, and
steps that make, of each signal k,
    seen{k}       (at, entity, item): how often and when, in the look-back of the moment, of the entities of groups,
                  with the item's place among the newest
    noticed{k}    (at, item): by how many of all
    attention{k}  (at, entity): how much in all
Time rule: as that of `interactions`; only rows of the look-back before a moment count (`moments.since_s`), since what
is looked at is soon had or forgotten, and such rows are many.

A signal is a table with a foreign key to the items and one shortest way to the entity; and where the question has a
WHERE, all rows of its own table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.interactions import parts_of
from dbt_rfm.plan.paths import Path, event_time, known_time
from dbt_rfm.plan.template import statement
from dbt_rfm.pql.paths import ways_up
from dbt_rfm.pql.task import BoundAggregation, Task
from dbt_rfm.schema.types import Link

MAX_SIGNALS = 3
LOOK_BACK_DAYS = 30  # or three windows, if they are longer


@dataclass(frozen=True)
class Signal:
    """`rows` is the target's aggregation over the rows of the signal: their item, their way to the entity."""

    label: str
    rows: BoundAggregation


def signals_of(task: Task, graph: Graph) -> tuple[Signal, ...]:
    """At most MAX_SIGNALS, the question's own table first, then those nearest to the entity."""
    asked = parts_of(task)[0].table.name
    found = sorted(_all_signals(task, graph), key=lambda s: (s.rows.table.name != asked, len(s.rows.path)))
    return tuple(found[:MAX_SIGNALS])


def _all_signals(task: Task, graph: Graph) -> Iterator[Signal]:
    target, ranking = parts_of(task)
    for link in graph.schema.children(ranking.items.name):
        table = graph.schema.table(link.child)
        way = target.path if link == ranking.link else _way(task, graph, link)
        if way is None or link.parent_column != ranking.link.parent_column:
            continue
        if link == ranking.link and target.where is None:
            continue  # these are the interactions
        path = Path(table, way)
        if event_time(graph, path) is None or known_time(graph, path) is None:
            continue
        rows = replace(target, table=table, column=table.column(link.child_column), path=way, where=None)
        yield Signal(f"any {table.name}" if link == ranking.link else link_label(graph.schema, link), rows)


def _way(task: Task, graph: Graph, link: Link) -> tuple[Link, ...] | None:
    """The one shortest way from the link's rows to the entity, but not by the item: who made it did not see it."""
    ways = ways_up(graph.schema, graph.schema.table(link.child), task.entity.table)
    ways = tuple(w for w in ways if link.parent not in {step.parent for step in w})
    if len(ways) != 1 or ways[0][-1].parent_column != task.entity.column.name:
        return None
    return ways[0]


def signal_steps(names: Names, k: int) -> list[Step]:
    """The session tables of signal k, whose rows are in the session table `signal{k}`."""
    made = {
        f"seen{k}": (_SEEN, (f"signal{k}", "examples", "moments", "catalogue")),
        f"noticed{k}": (_NOTICED, (f"signal{k}", "moments", "catalogue")),
        f"attention{k}": (_ATTENTION, (f"seen{k}",)),
    }
    texts = {name: text.format(k=k, recent=RECENT) for name, (text, _) in made.items()}
    return [Step(names(name), statement(text, names, *made[name][1])) for name, text in texts.items()]


def signal_tables(k: int) -> tuple[str, ...]:
    """The session tables that features read."""
    return (f"seen{k}", f"noticed{k}", f"attention{k}")


def signal_joins(k: int) -> str:
    """For pairs aliased e."""
    return _JOINS.format(k=k)


def signal_features(k: int, label: str) -> dict[str, str]:
    """By name, read of those joins; h is the entity's history with the item."""
    return {f"{label}.{name}": text.format(k=k) for name, text in _FEATURES.items()}


#: How many rows, each counted e times less per window that it is older. Not for ever: Postgres fails at e to the -708.
RECENT = "SUM(EXP(-LEAST(DATE_DIFF('second', i.happened, m.at) / 86400.0 / m.days, 700.0)))"
_SEEN = """
SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s.at, s.entity ORDER BY s.latest DESC, s.times DESC, s.item) AS newest
FROM (
    SELECT m.at, i.entity, i.item, COUNT(*) AS times,
        SUM(CASE WHEN i.happened > m.since_q THEN 1 ELSE 0 END) AS times_q,
        SUM(CASE WHEN i.happened > m.since_1 THEN 1 ELSE 0 END) AS times_1,
        {recent} AS recent,
        MAX(i.happened) AS latest
    FROM signal{k} AS i
    JOIN (SELECT DISTINCT e.as_of AS at, e.entity FROM examples AS e) AS t
        ON t.entity = i.entity AND i.known <= t.at AND (i.until IS NULL OR i.until > t.at)
    JOIN moments AS m ON m.at = t.at AND i.happened > m.since_s
    JOIN catalogue AS g ON g.at = t.at AND g.item = i.item
    GROUP BY m.at, i.entity, i.item
) AS s
"""
_NOTICED = """
SELECT n.*, ROW_NUMBER() OVER (PARTITION BY n.at ORDER BY n.entities_q DESC, n.entities_1 DESC, n.item) AS place
FROM (
    SELECT s.at, s.item, COUNT(*) AS entities,
        COUNT(CASE WHEN s.latest > m.since_q THEN 1 END) AS entities_q,
        COUNT(CASE WHEN s.latest > m.since_1 THEN 1 END) AS entities_1
    FROM (
        SELECT m.at, i.entity, i.item, MAX(i.happened) AS latest
        FROM signal{k} AS i
        JOIN moments AS m ON i.known <= m.at AND i.happened > m.since_s AND (i.until IS NULL OR i.until > m.at)
        JOIN catalogue AS g ON g.at = m.at AND g.item = i.item
        GROUP BY m.at, i.entity, i.item
    ) AS s
    JOIN moments AS m ON m.at = s.at
    GROUP BY s.at, s.item
) AS n
"""
_ATTENTION = """
SELECT s.at, s.entity, COUNT(*) AS items, SUM(s.times_q) AS times_q, SUM(s.times_1) AS times_1,
    MAX(s.latest) AS latest
FROM seen{k} AS s GROUP BY s.at, s.entity
"""
_JOINS = """
LEFT JOIN seen{k} AS x{k} ON x{k}.at = e.as_of AND x{k}.entity = e.entity AND x{k}.item = e.item
LEFT JOIN noticed{k} AS n{k} ON n{k}.at = e.as_of AND n{k}.item = e.item
LEFT JOIN attention{k} AS a{k} ON a{k}.at = e.as_of AND a{k}.entity = e.entity
"""
_AGE = "DATE_DIFF('second', {0}, e.as_of) / 86400.0"
_FEATURES = {
    "times": "COALESCE(x{k}.times, 0)",
    "times.newest": "COALESCE(x{k}.times_q, 0)",
    "times.{h}": "COALESCE(x{k}.times_1, 0)",
    "recent": "COALESCE(x{k}.recent, 0)",
    "age": _AGE.format("x{k}.latest"),
    "place": "x{k}.newest",
    "since_own": "CASE WHEN h.latest IS NOT NULL THEN CASE WHEN x{k}.latest > h.latest THEN 1 ELSE 0 END END",
    "item.entities.newest": "COALESCE(n{k}.entities_q, 0)",
    "item.entities.{h}": "COALESCE(n{k}.entities_1, 0)",
    "entity.times.newest": "COALESCE(a{k}.times_q, 0)",
    "entity.times.{h}": "COALESCE(a{k}.times_1, 0)",
    "entity.age": _AGE.format("a{k}.latest"),
}
#: Of a group, its newest seen items and those that most others saw lately.
SIGHTS = """
SELECT e.example_id AS group_id, x.item
FROM examples AS e
JOIN seen{k} AS x ON x.at = e.as_of AND x.entity = e.entity AND x.newest <= {seen}
UNION ALL
SELECT e.example_id AS group_id, n.item
FROM examples AS e
JOIN noticed{k} AS n ON n.at = e.as_of AND n.place <= {noticed}
"""
