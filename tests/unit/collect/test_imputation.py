"""Gaps in an attribute of things are filled from the other columns and the rows around, never from the attribute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest
from small_schema import ORDERS, schema, table

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

SCHEMA = schema(
    table("regions", region_id="INTEGER", kind="VARCHAR"),
    table(
        "customers",
        customer_id="INTEGER",
        region_id="INTEGER",
        segment="VARCHAR",
        code="VARCHAR",
        income="DOUBLE",
        member="BOOLEAN",
    ),
    ORDERS,
    links={"customers.region_id": "regions.region_id", "orders.customer_id": "customers.customer_id"},
)
ATTRIBUTES = {"segment": TaskKind.MULTICLASS, "income": TaskKind.REGRESSION, "member": TaskKind.BINARY}


@pytest.fixture()
def shop() -> Iterator[DuckDB]:
    """80 customers, every fourth one's attributes unknown; the code is made from the segment."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("CREATE TABLE regions AS SELECT i::INTEGER AS region_id, 'r' || i AS kind FROM range(5) t(i)")
    connection.execute(
        "CREATE TABLE customers AS SELECT i::INTEGER AS customer_id, (i % 5)::INTEGER AS region_id, "
        "CASE WHEN i % 4 > 0 THEN 's' || i % 3 END AS segment, CASE WHEN i % 4 > 0 THEN 'c' || i % 3 END AS code, "
        "CASE WHEN i % 4 > 0 THEN i * 10.0 END AS income, CASE WHEN i % 4 > 0 THEN i % 3 = 0 END AS member "
        "FROM range(80) t(i)"
    )
    connection.execute(
        "CREATE TABLE orders AS SELECT k::INTEGER AS order_id, (k % 80)::INTEGER AS customer_id, "
        "TIMESTAMP '2024-06-30' - to_days((k % 90)::INTEGER) AS ordered_at, (k % 3 + 1)::DOUBLE AS amount "
        "FROM range(400) t(k)"
    )
    yield DuckDB(connection)
    connection.close()


def filled(shop: DuckDB, target: str, schema: RelationalSchema = SCHEMA) -> Snapshot:
    task = bind(parse(f"PREDICT customers.{target} FOR EACH customers.customer_id"), schema)
    assert not task.of_events
    return collect(task, schema, shop, Options(context_size=60), with_rows=True)


def of(snapshot: Snapshot, split: str) -> list[int]:
    return sorted(r["entity"] for r in snapshot.examples.to_pylist() if r["split"] == split)


@pytest.mark.parametrize(("attribute", "kind"), ATTRIBUTES.items())
def test__impute__each_kind__is_learnt_where_known_and_asked_where_null(
    shop: DuckDB, attribute: str, kind: TaskKind
) -> None:
    snapshot = filled(shop, attribute)
    assert snapshot.kind == kind
    assert of(snapshot, CONTEXT) == [i for i in range(80) if i % 4]
    assert of(snapshot, QUERY) == [i for i in range(80) if i % 4 == 0]
    tested, learnt = of(snapshot, BACKTEST), of(snapshot, BACKTEST_CONTEXT)
    assert tested and not set(tested) & set(learnt)
    assert sorted([*tested, *learnt]) == of(snapshot, CONTEXT)


def test__impute__a_condition_on_a_number__is_a_yes_or_no(shop: DuckDB) -> None:
    snapshot = filled(shop, "income > 400")
    labels = {r["entity"]: r["label"] for r in snapshot.examples.to_pylist() if r["split"] == CONTEXT}
    assert snapshot.kind == TaskKind.BINARY
    assert all(label == (entity * 10 > 400) for entity, label in labels.items())
    assert len(of(snapshot, QUERY)) == 20
    assert not [name for name in snapshot.features.column_names if "income" in name]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test__impute__whatever_the_known_values_are__features_and_rows_are_the_same(shop: DuckDB, attribute: str) -> None:
    before = filled(shop, attribute)
    other = {"segment": "'s' || (customer_id + 1) % 3", "income": "income * -3 + 7", "member": "NOT member"}[attribute]
    shop._cursor.execute(f"UPDATE customers SET {attribute} = {other} WHERE {attribute} IS NOT NULL")
    after = filled(shop, attribute)
    assert before.examples.drop_columns("label").equals(after.examples.drop_columns("label"))
    assert not before.examples["label"].equals(after.examples["label"])
    assert before.features.equals(after.features)
    assert before.rows.keys() == after.rows.keys()
    assert all(before.rows[name].equals(after.rows[name]) for name in before.rows)
    assert attribute not in before.rows["customers"].column_names


def test__impute__a_foreign_key__is_a_class_and_what_it_leads_to_is_not_seen(shop: DuckDB) -> None:
    shop._cursor.execute("UPDATE customers SET region_id = NULL WHERE customer_id % 4 = 0")
    before = filled(shop, "region_id")
    shop._cursor.execute("UPDATE customers SET region_id = (region_id + 1) % 5")
    after = filled(shop, "region_id")
    assert before.kind == TaskKind.MULTICLASS and before.classes == ("0", "1", "2", "3", "4")
    assert of(before, QUERY) == [i for i in range(80) if i % 4 == 0]
    assert not before.examples["label"].equals(after.examples["label"])
    assert before.features.equals(after.features)
    assert "regions" not in {feature.table for feature in before.features_meta}
    assert before.rows.keys() == after.rows.keys()
    assert all(before.rows[name].equals(after.rows[name]) for name in before.rows)


def test__impute__a_code_made_from_the_segment__is_named(shop: DuckDB) -> None:
    notes = filled(shop, "segment").notes
    assert any(note.startswith("customers.code alone tells customers.segment of all 60") for note in notes)
    assert not any("alone tells" in note for note in filled(shop, "income").notes)


def test__impute__column_known_only_with_the_attribute__is_named(shop: DuckDB) -> None:
    (note,) = [note for note in filled(shop, "income").notes if "missing where it is asked for" in note]
    assert note.startswith("customers.segment, customers.code, customers.member are there where")


def test__impute__things_with_a_time_of_their_own__are_known_from_then_on(shop: DuckDB) -> None:
    shop._cursor.execute("ALTER TABLE customers ADD COLUMN joined_at TIMESTAMP")
    shop._cursor.execute("UPDATE customers SET joined_at = TIMESTAMP '2024-06-01' + to_days(customer_id)")
    joined = Column("joined_at", "TIMESTAMP", SemanticType.TIMESTAMP)
    customers = SCHEMA.table("customers")
    timed = replace(customers, columns=(*customers.columns, joined), time_column="joined_at")
    # Without the link to regions: with it the rows would be events.
    schema = RelationalSchema((timed, SCHEMA.table("orders")), (SCHEMA.links[1],))
    snapshot = filled(shop, "segment", schema)
    assert snapshot.anchor.isoformat() == "2024-08-19T00:00:00"
    task = bind(parse("PREDICT customers.segment FOR EACH customers.customer_id"), schema)
    early = collect(task, schema, shop, Options(anchor="2024-06-11"), with_rows=False)
    assert of(early, QUERY) == [0, 4, 8], "later customers are not there yet"


def test__impute__nothing_known__says_so(shop: DuckDB) -> None:
    shop._cursor.execute("UPDATE customers SET income = NULL")
    with pytest.raises(DataError, match=r"customers\.income is null in every row"):
        filled(shop, "income")
