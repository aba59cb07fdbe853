"""Which foreign key says when a row without a time of its own happened: order items happen with their order.

In: a RelationalSchema whose keys, links and times are settled. Out: the same with `Table.time_link` where one can be
told: it is declared, or it is the only one that leads to a time, or what it leads to is the last to come. A row exists
once all it points at does, so the last of them came with it; an order is placed after its product was launched.
Things are not parts of what they point at: customers are there before and after their store was opened, and what
belongs to a customer did not happen when he signed up. So a table with a time link is named after its parent, as order
items are, or no rows with a time point at it and the parent is an event, which points at something itself.
Time rule: a wrong choice lets rows be seen before they came. Where the data do not say clearly, none is chosen, and the
rows wait for all they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dbt_rfm.errors import ProjectError
from dbt_rfm.schema.names import entity_words
from dbt_rfm.schema.probe import Probe
from dbt_rfm.schema.types import Link, RelationalSchema, Table

Way = tuple[Link, ...]
_CLEARLY = 0.9  # of the rows; products were entered later than their first orders now and then


def timed_ways(schema: RelationalSchema, name: str, without: Sequence[Link] = ()) -> Iterator[Way]:
    """Links from a table without a time up to the nearest timed ones; what `without` leads to is left out.

    Of a table with a time link nothing but what it leads to.
    """
    told = schema.table(name).time_link
    for link in schema.parents(name):
        if link in without or link.parent == name or told not in (None, link.child_column):
            continue
        if schema.table(link.parent).own_time:
            yield (link,)
        else:
            for more in timed_ways(schema, link.parent, (*without, link)):
                yield (link, *more)


def with_time_links(schema: RelationalSchema, probe: Probe) -> RelationalSchema:
    """Raises ProjectError where `meta.rfm.time_column` names a column that is no time and leads to none."""
    for table in schema.tables:
        if not table.own_time:
            schema = _with_time_link(schema, table, probe)
    return schema


def _with_time_link(schema: RelationalSchema, table: Table, probe: Probe) -> RelationalSchema:
    ways = list(timed_ways(schema, table.name))
    if table.time_link is not None and not ways:
        declared = table.column(table.time_link)
        raise ProjectError(
            f"time column {table.name}.{declared.name} is {declared.data_type}, expected a date or a timestamp, or a "
            "foreign key to a table that has one",
            where=table.unique_id,
            hint=f"Cast {declared.name} to timestamp in the model.",
        )
    if table.time_link is not None or not ways:
        return schema
    keys = {way[0].child_column for way in ways}
    found = ways[0] if len(keys) == 1 else _last_to_come(schema, table, ways, probe)
    if found is None or not _is_part(schema, table, found):
        return schema
    told = replace(table, time_link=found[0].child_column, time_column_inferred=True)
    return replace(schema, tables=tuple(told if t.name == table.name else t for t in schema.tables))


def _last_to_come(schema: RelationalSchema, table: Table, ways: Sequence[Way], probe: Probe) -> Way | None:
    """The way whose time is clearly the last; any one where no row can tell, since none is seen too early."""
    shares = probe.shares_of_last(table, [[(link, schema.table(link.parent)) for link in way] for way in ways])
    if shares is None:
        return ways[0]
    best = max(range(len(ways)), key=shares.__getitem__)
    return ways[best] if shares[best] >= _CLEARLY else None


def _is_part(schema: RelationalSchema, table: Table, way: Way) -> bool:
    """Whether rows of the table happen with what the way leads to: it is named after it, or a leaf of an event.

    An event points at what it happens to, as orders at customers; things such as customers mostly point at nothing.
    """
    own, words = entity_words(table.name), entity_words(way[0].parent)
    if own[: len(words)] == words:
        return True
    leaf = not any(schema.table(link.child).own_time for link in schema.children(table.name))
    return leaf and bool(schema.parents(way[-1].parent))
