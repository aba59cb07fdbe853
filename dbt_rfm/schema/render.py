"""A schema for human eyes: a table for the terminal, a Mermaid entity-relationship diagram for docs.

In: a RelationalSchema. Out: a rich renderable, or text. Inferred keys, times and links are marked with a question mark
in the terminal and as `inferred` in the diagram, so that nobody takes a guess for a declaration.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dbt_rfm.schema.types import Column, Link, RelationalSchema, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

GUESS = "?"


def schema_table(schema: RelationalSchema) -> RichTable:
    """One row per column: type, semantic type, and its role as key, time or link."""
    # rich is only needed where something is printed.
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable("table", "column", "type", "semantic type", "role", box=None, header_style="bold", pad_edge=False)
    for table in schema.tables:
        for i, column in enumerate(table.columns):
            name = Text(table.name, style="bold") if i == 0 else Text("")
            cells = (column.name, column.data_type, str(column.semantic_type), role(schema, table, column))
            shown.add_row(name, *map(Text, cells), end_section=column is table.columns[-1])
    return shown


def as_values(schema: RelationalSchema) -> dict[str, Any]:
    """Tables, columns and links as plain values, for JSON; roles as in the table."""
    tables = [
        {
            "name": table.name,
            "primary_key": list(table.primary_key),
            "time_column": table.time_column,
            "columns": [
                {
                    "name": column.name,
                    "type": column.data_type,
                    "semantic_type": str(column.semantic_type),
                    "role": role(schema, table, column),
                }
                for column in table.columns
            ],
        }
        for table in schema.tables
    ]
    return {"tables": tables, "links": [asdict(link) for link in schema.links], "notes": list(schema.notes)}


def role(schema: RelationalSchema, table: Table, column: Column) -> str:
    """What a column is for, e.g. `key`, `time ?`, `-> customers.customer_id`."""
    roles = []
    if column.name in table.primary_key:
        roles.append(f"key {GUESS}" if table.primary_key_inferred else "key")
    if column.name in (table.time_column, table.time_link):
        roles.append(f"time {GUESS}" if table.time_column_inferred else "time")
    if column.name in (table.valid_from, table.valid_to):
        roles.append("valid from" if column.name == table.valid_from else "valid to")
    if column.hindsight:
        roles.append("of today, no feature")
    if column.planned:
        roles.append("planned" if column.fixed else "planned, for forecasts")
    if column.ends:
        roles.append("end")
    roles += [_target(link) for link in schema.parents(table.name) if link.child_column == column.name]
    return ", ".join(roles)


def mermaid(schema: RelationalSchema) -> str:
    """A Mermaid `erDiagram`; an inferred link is dashed."""
    lines = ["erDiagram"]
    for link in schema.links:
        line = ".." if link.inferred else "--"
        lines.append(f"    {_word(link.parent)} ||{line}o{{ {_word(link.child)} : {_quoted(link.child_column, link)}")
    for table in schema.tables:
        lines.append(f"    {_word(table.name)} {{")
        lines += [f"        {_attribute(schema, table, column)}" for column in table.columns]
        lines.append("    }")
    return "\n".join(lines) + "\n"


def _target(link: Link) -> str:
    marks = [mark for mark, holds in (("weak", link.weak), (GUESS, link.inferred)) if holds]
    return " ".join([f"-> {link.parent}.{link.parent_column}", *marks])


def _attribute(schema: RelationalSchema, table: Table, column: Column) -> str:
    is_key = column.name in table.primary_key
    is_link = any(link.child_column == column.name for link in schema.parents(table.name))
    marks = ", ".join(mark for mark, holds in (("PK", is_key), ("FK", is_link)) if holds)
    said = "time" if column.name in (table.time_column, table.time_link) else ""
    guessed = (is_key and table.primary_key_inferred) or (said and table.time_column_inferred)
    comment = " ".join(part for part in (said, "inferred" if guessed else "") if part)
    parts = [str(column.semantic_type), _word(column.name), marks, f'"{comment}"' if comment else ""]
    return " ".join(part for part in parts if part)


def _quoted(column: str, link: Link) -> str:
    label = column.replace('"', "'")
    return f'"{label} (inferred)"' if link.inferred else f'"{label}"'


def _word(name: str) -> str:
    # Mermaid takes letters, digits, underscores and hyphens in a name.
    return re.sub(r"[^\w-]", "_", name)
