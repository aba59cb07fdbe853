"""What changes a fingerprint, and what does not."""

from __future__ import annotations

from dataclasses import replace

from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.types import SemanticType


def test__fingerprint__order_notes_and_relation__do_not_matter(declared_shop):
    schema = declared_shop.schema()
    other = replace(
        schema,
        tables=tuple(replace(t, relation="elsewhere", unique_id="") for t in reversed(schema.tables)),
        links=tuple(replace(link, declared_by="inferred", weak=True) for link in schema.links),
        notes=("a note",),
    )
    assert fingerprint(other) == fingerprint(schema)


def test__fingerprint__anything_the_plan_reads__matters(declared_shop):
    schema = declared_shop.schema()
    orders = schema.table("orders")
    retyped = replace(orders.columns[3], semantic_type=SemanticType.CATEGORICAL)
    changed = [
        replace(orders, primary_key=()),
        replace(orders, time_column=None),
        replace(orders, name="order"),
        replace(orders, columns=orders.columns[:-1]),
        replace(orders, columns=(*orders.columns[:3], retyped)),
        replace(orders, valid_from="ordered_at"),
    ]
    prints = {fingerprint(replace(schema, tables=(schema.tables[0], table))) for table in changed}
    prints |= {fingerprint(schema), fingerprint(replace(schema, links=()))}
    assert len(prints) == len(changed) + 2
