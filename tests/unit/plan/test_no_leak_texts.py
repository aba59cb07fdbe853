"""Whatever happens after an example's anchor, no text that it is told moves: neither its own, nor one of a row that it
points at, nor the newest of its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_databases import AMOUNT, Database, databases, moments, same_until, shop_schema, warehouse_of
from test_no_leak import EXAMPLES, OPTIONS, SPENDING, labels_around, same, slow

from dbt_rfm.collect.snapshots import collect_labelled
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.texts import MAX_TEXTS, texts_read
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType
from dbt_rfm.snapshot import TEXT, Snapshot


def _as_text(column: Column) -> Column:
    is_word = column.semantic_type is SemanticType.CATEGORICAL
    return replace(column, semantic_type=SemanticType.TEXT, values=(), all_values=False) if is_word else column


def with_texts() -> RelationalSchema:
    """The shop of the other plans, whose categories are texts."""
    schema = shop_schema()
    tables = tuple(replace(t, columns=tuple(map(_as_text, t.columns))) for t in schema.tables)
    return replace(schema, tables=tables)


@slow
@given(st.data(), databases(), moments, EXAMPLES, st.sampled_from([SPENDING, AMOUNT]))
def test__texts__later_rows_changed__stay_the_same(
    data: st.DataObject, database: Database, cut: datetime, drawn: list[tuple[int, datetime]], task: Task
) -> None:
    schema = with_texts()
    asked = replace(task, entity=replace(task.entity, table=schema.table(task.entity.table.name)))
    later = data.draw(same_until(database, cut))
    labels = labels_around(cut, drawn)

    def snapshot(shop: Database) -> Snapshot:
        return collect_labelled(asked, schema, warehouse_of(shop), OPTIONS, labels=labels)

    first, second = snapshot(database), snapshot(later)
    told = {f.name for f in first.features_meta if f.kind == TEXT}
    assert told == (
        {"customers.segment", "regions.kind", "orders.status.last"}
        if task is SPENDING
        else {"orders.status", "customers.segment", "regions.kind", "customers.regions.kind"}
    )
    same(first, second, until=cut)


@pytest.mark.parametrize("hidden", [(), (("customers", "segment"),)])
def test__texts_read__of_the_row_then_its_parents_then_its_children__but_for_hidden_ones(hidden) -> None:
    schema = with_texts()
    found = texts_read(Scope(Graph(schema, "duckdb"), frozenset(hidden)), schema.table("customers"))
    assert found == {("customers", "segment"), ("regions", "kind"), ("orders", "status")} - {*hidden}


def test__texts_read__more_than_a_question_has_room_for__the_nearest() -> None:
    schema = with_texts()
    customers = schema.table("customers")
    notes = tuple(Column(f"note{i}", "VARCHAR", SemanticType.TEXT) for i in range(MAX_TEXTS))
    wide = replace(customers, columns=(*customers.columns, *notes))
    tables = tuple(wide if t.name == "customers" else t for t in schema.tables)
    found = texts_read(Scope(Graph(replace(schema, tables=tables), "duckdb")), wide)
    assert len(found) == MAX_TEXTS and {table for table, _ in found} == {"customers"}
