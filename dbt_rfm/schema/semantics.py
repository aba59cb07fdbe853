"""What kind of value a column holds: id, numerical, categorical, timestamp, text or boolean.

In: a table with its keys and links. Out: the table with semantic types. Order: `meta.rfm.semantic_type`, keys and
links, the data type, and, for texts and for numbers named like ids, a look at a sample. The thresholds only have to
separate a status from a comment and a type code from a key, so they lie far from both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from dbt_rfm.schema import names
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.meta import TableMeta
from dbt_rfm.schema.probe import Probe, Spread, TextShape
from dbt_rfm.schema.types import Column, Link, SemanticType, Table

_BY_FAMILY = {
    Family.BOOLEAN: SemanticType.BOOLEAN,
    Family.INTEGER: SemanticType.NUMERICAL,
    Family.NUMBER: SemanticType.NUMERICAL,
    Family.ENUM: SemanticType.CATEGORICAL,
    Family.STRING: SemanticType.CATEGORICAL,
    Family.TIME: SemanticType.TIMESTAMP,
    Family.UUID: SemanticType.ID,
}
_FEW = 100  # distinct values of a code list
_MANY = 1000  # distinct values a category may have
_LONG = 40  # mean characters of a sentence
_HASH = 16  # characters of the shortest random id


def by_data_type(data_type: str) -> SemanticType | None:
    """The semantic type that the data type alone suggests, None for types that are not read."""
    return _BY_FAMILY.get(family(data_type))


def key_columns(table: Table, links: Sequence[Link]) -> set[str]:
    """Columns that identify or point: a single key, both ends of links."""
    ends = {link.child_column for link in links if link.child == table.name}
    ends |= {link.parent_column for link in links if link.parent == table.name}
    return ends | (set(table.primary_key) if len(table.primary_key) == 1 else set())


def silent_keys(table: Table, links: Sequence[Link]) -> set[str]:
    """Those of a table with semantic types that say nothing but which row is meant."""
    return {name for name in key_columns(table, links) if table.column(name).semantic_type is SemanticType.ID}


def with_semantics(table: Table, links: Sequence[Link], meta: TableMeta, probe: Probe) -> Table:
    """The table with its final semantic types; looks at one sample of it."""
    keys = key_columns(table, links)
    silent = keys - _natural_keys(table, links)
    open_columns = [c for c in table.columns if c.name not in silent and meta.of(c.name).semantic_type is None]
    texts = [c.name for c in open_columns if family(c.data_type) is Family.STRING]
    id_numbers = [c.name for c in open_columns if family(c.data_type) is Family.INTEGER and names.ends_like_id(c.name)]
    spreads, shapes = probe.sample(table, [*texts, *id_numbers], texts)
    columns = tuple(_typed(column, keys, meta, spreads, shapes) for column in table.columns)
    return replace(table, columns=columns)


def _natural_keys(table: Table, links: Sequence[Link]) -> set[str]:
    """Foreign keys that are texts, such as a country's code: they may say something by themselves."""
    ends = {link.child_column for link in links if link.child == table.name}
    ends -= {link.parent_column for link in links if link.parent == table.name}
    return {c.name for c in table.columns if c.name in ends and family(c.data_type) is Family.STRING}


def _typed(
    column: Column, keys: Collection[str], meta: TableMeta, spreads: dict[str, Spread], shapes: dict[str, TextShape]
) -> Column:
    declared = meta.of(column.name).semantic_type
    if declared is not None:
        return replace(column, semantic_type=declared, inferred=False)
    if column.name in keys:
        says = column.name in spreads and _is_code_list(spreads[column.name])
        return replace(column, semantic_type=SemanticType.CATEGORICAL if says else SemanticType.ID)
    if column.name in shapes:
        return replace(column, semantic_type=text_type(column.name, spreads[column.name], shapes[column.name]))
    if column.name in spreads:
        few = _is_code_list(spreads[column.name])
        return replace(column, semantic_type=SemanticType.CATEGORICAL if few else SemanticType.ID)
    return column


def text_type(name: str, spread: Spread, shape: TextShape) -> SemanticType:
    """A text column by its name, how its values spread and how long they are."""
    if not spread.filled:
        return SemanticType.ID if names.ends_like_id(name) else SemanticType.CATEGORICAL
    share = spread.distinct / spread.filled
    if names.ends_like_id(name):
        return SemanticType.CATEGORICAL if _is_code_list(spread) else SemanticType.ID
    if share > 0.9 and shape.min_length == shape.max_length >= _HASH and not shape.mean_spaces:
        return SemanticType.ID
    if shape.mean_length >= _LONG and share > 0.1:
        return SemanticType.TEXT
    if spread.distinct <= _FEW or (spread.distinct <= _MANY and share <= 0.5):
        return SemanticType.CATEGORICAL
    return SemanticType.TEXT if share > 0.5 else SemanticType.CATEGORICAL


def _is_code_list(spread: Spread) -> bool:
    return spread.filled > 0 and spread.distinct <= _FEW and spread.distinct <= spread.filled / 2
