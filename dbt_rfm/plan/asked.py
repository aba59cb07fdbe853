"""The rows that belong to the entities asked about, read once into session tables.

In: the graph, the entity, a SELECT of the keys asked about. Out: steps that make the session tables, and the graph that
reads them. They hold the rows of those entities, of their children and of their grandchildren, of all times. A part of
the plan that wants them finds the few rows there instead of passing over the whole table again: features, neighbours
and labels of one example pass over its events three times and more.
Time rule: none here. Whoever reads leaves out what an example may not see, as it does of the whole table, and the
session tables lack no row of an entity asked about; so what is said of it is the same either way.

A session table costs one more writing of its rows, so it is made where its rows are read twice, and only if the
entities asked about are few (`are_few`). Children that both features and neighbours number in time are numbered here:
a later row has a higher number, so those that an example may see are numbered as if there were no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.plan.children import paths_down
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import in_time
from dbt_rfm.plan.witnesses import witnesses_of
from dbt_rfm.schema.types import Link, Table

_FEW = 8  # one entity in so many
_NUMBER = "rfm number"


def are_few(asked: int, entities: int) -> bool:
    """Whether the rows of `asked` of all entities are worth a copy."""
    return asked * _FEW <= entities


def asked_rows(
    graph: Graph,
    names: Names,
    entity: tuple[Table, str],
    keys: exp.Select,
    *,
    with_rows: bool,
    ways: Sequence[tuple[Link, ...]] | None = None,
) -> tuple[Graph, tuple[Step, ...]]:
    """`with_rows`: neighbours are read too. `ways`: instead of those along which features read twice, each after the
    way that it ends with."""
    table, key = entity
    stored: dict[tuple[Link, ...], str] = {}
    numbers: dict[tuple[Link, ...], str] = {}
    steps: list[Step] = []
    for links in _read_again(graph, table, key, with_rows) if ways is None else ways:
        source, column, wanted = table, key, keys
        if links:
            source, column = graph.schema.table(links[0].child), links[0].child_column
        if links[1:]:
            wanted = sql.select(sql.column(links[0].parent_column)).from_(sql.temporary(stored[links[1:]]), copy=False)
        stored[links] = names(f"asked{len(steps)}")
        steps.append(Step(stored[links], _rows(graph, source, column, wanted)))
        if with_rows and len(links) == 1 and _is_numbered(graph, source, links[0]):
            rows, stored[links], numbers[links] = stored[links], names(f"numbered{len(numbers)}"), _NUMBER
            steps.append(Step(stored[links], _numbered(source, column, rows)))
    return replace(graph, asked=stored, numbers=numbers), tuple(steps)


def _read_again(graph: Graph, table: Table, key: str, with_rows: bool) -> Iterator[tuple[Link, ...]]:
    """Ways from rows to their entity along which rows are read at least twice, the shorter ones first."""
    schema = graph.schema
    if with_rows or schema.parents(table.name):  # its own row finds its siblings
        yield ()
    paths = list(paths_down(schema, table, key))
    between = {path.links[1:] for path in paths}
    for path in paths:
        to_others = len(path.links) == 1 and len(schema.parents(path.table.name)) > 1
        if with_rows or to_others or path.links in between:
            yield path.links


def _rows(graph: Graph, table: Table, column: str, wanted: exp.Select) -> exp.Select:
    """By a join with each key once, which DuckDB does quicker than IN."""
    query = sql.select(*sql.columns([c.name for c in table.columns], "r0"))
    query = query.from_(graph.read(table, "r0"), copy=False)
    keys = wanted.distinct()
    same = exp.EQ(this=sql.column(column, "r0"), expression=sql.column(keys.selects[0].name, "k"))
    return sql.join(query, sql.subquery(keys, "k"), same)


def _is_numbered(graph: Graph, table: Table, link: Link) -> bool:
    """Whether one order of its rows serves all: not where versions have a time of the event and one of their own, nor
    where another row says when they were known."""
    one_time = None in (table.time_column, table.valid_from) and not witnesses_of(graph, link, "o")
    return bool(table.primary_key) and one_time


def _numbered(table: Table, key: str, rows: str) -> exp.Select:
    number = sql.aliased(sql.numbered([sql.column(key, "o")], in_time(table, "o")), _NUMBER)
    query = sql.select(*sql.columns([c.name for c in table.columns], "o"), number)
    return query.from_(sql.temporary(rows, "o"), copy=False)
