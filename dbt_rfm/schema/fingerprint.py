"""A short name for what a schema says, so that two runs can be compared.

In: a RelationalSchema. Out: the sha256 of its tables, columns with types, keys, times and links, sorted. Notes,
relation names, who declared what and columns of hindsight are left out: the same tables in another database have the
same fingerprint.
"""

from __future__ import annotations

import hashlib
import json

from dbt_rfm.schema.types import RelationalSchema, Table


def fingerprint(schema: RelationalSchema) -> str:
    content = {
        "tables": sorted((_table(table) for table in schema.tables), key=lambda table: table["name"]),
        "links": sorted(str(link) for link in schema.links),
    }
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _table(table: Table) -> dict:
    return {
        "name": table.name,
        "columns": sorted([c.name, c.data_type, str(c.semantic_type)] for c in table.columns if not c.hindsight),
        "primary_key": list(table.primary_key),
        "time": [table.time_column, table.valid_from, table.valid_to, *([table.time_link] if table.time_link else [])],
    }
