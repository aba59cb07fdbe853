"""Which column is the time: declared, a snapshot's validity, the only candidate, or a question back."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import ProjectError

TWO_TIMES = "select 1 as id, timestamp '2025-01-01' as created_at, timestamp '2025-01-02' as paid_at"


def test__time__event_time__declared(shop):
    shop.table("orders", TWO_TIMES, event_time="PAID_AT")
    table = shop.schema().table("orders")
    assert (table.time_column, table.time_column_inferred) == ("paid_at", False)


@pytest.mark.parametrize(
    "declared",
    [
        {"meta": {"rfm": {"time_column": "paid_at"}}},
        {"columns": {"paid_at": {"meta": {"rfm": {"time_column": True}}}}},
        {"columns": {"paid_at": {"config": {"meta": {"rfm": {"time_column": True}}}}}},
        {"meta": {"rfm": {"time_column": "paid_at"}}, "event_time": "created_at"},
    ],
)
def test__time__meta__declared_and_closer_than_event_time(shop, declared):
    shop.table("orders", TWO_TIMES, **declared)
    assert shop.schema().table("orders").time_column == "paid_at"


@pytest.mark.parametrize("none", ["none", None, False])
def test__time__meta_none__always_known(shop, none):
    shop.table("orders", TWO_TIMES, meta={"rfm": {"time_column": none}})
    schema = shop.schema()
    assert schema.table("orders").time_column is None
    assert not any("always known" in note for note in schema.notes)


def test__time__only_timestamp__inferred_and_said(shop):
    shop.table("orders", "select 1 as id, date '2025-01-01' as ordered_on")
    schema = shop.schema()
    table = schema.table("orders")
    assert (table.time_column, table.time_column_inferred) == ("ordered_on", True)
    assert any("time columns inferred" in note and "orders.ordered_on" in note for note in schema.notes)


def test__time__no_timestamp__always_known_and_said(shop):
    shop.table("stores", "select 1 as id")
    schema = shop.schema()
    assert schema.table("stores").time_column is None
    assert "no time column, so their rows count as always known: stores" in schema.notes


def test__time__no_timestamp_but_a_timed_parent__known_with_it_and_said(shop):
    shop.table("orders", "select 1 as order_id, date '2025-01-01' as ordered_on")
    shop.table("order_items", "select 1 as order_item_id, 1 as order_id")
    shop.table("refunds", "select 1 as refund_id, 1 as order_item_id")
    known = "order_items with orders, refunds with order_items"
    assert f"no time column, so their rows are known with the row they belong to: {known}" in shop.schema().notes


def test__time__several_candidates__asked_back(shop):
    shop.table("orders", TWO_TIMES)
    message = r"model\.shop\.orders: expected one time column, got created_at and paid_at\n.*meta\.rfm\.time_column"
    with pytest.raises(ProjectError, match=message):
        shop.schema()


def test__time__several_with_one_event_time__the_event(shop):
    shop.table("logs", "select 1 as id, now() as received_at, now() as occurredAt")
    assert shop.schema().table("logs").time_column == "occurredAt"


@pytest.mark.parametrize(
    "other", ["birth_date", "dob", "_loaded_at", "dbt_updated_at", "_fivetran_synced", "birthdate"]
)
def test__time__birthdays_and_load_times__never_taken(shop, other):
    shop.table("users", f"select 1 as id, timestamp '2000-01-01' as {other}")
    shop.table("posts", f"select 1 as id, now() as written_at, now() as {other}")
    schema = shop.schema()
    assert schema.table("users").time_column is None
    assert schema.table("posts").time_column == "written_at"


def test__time__changed_at__does_not_count_beside_another_and_is_left_out(shop):
    shop.table("orders", "select 1 as id, now() as created_at, now() as updated_at, now() as last_modified")
    schema = shop.schema()
    assert schema.table("orders").time_column == "created_at"
    assert [c.name for c in schema.table("orders").columns] == ["id", "created_at"]
    assert any("overwritten by later ones: orders.updated_at, orders.last_modified;" in note for note in schema.notes)


def test__time__only_changed_at__is_the_time(shop):
    shop.table("products", "select 1 as id, now() as updated_at")
    assert shop.schema().table("products").time_column == "updated_at"


@pytest.mark.parametrize("column", ["last_seen_at", "lastLogin", "latest_order_on", "most_recent_visit"])
def test__time__the_last_of_something__is_no_time_and_left_out(shop, column):
    """By its last visit a customer would begin to exist when it ended, and its age would tell who came again."""
    shop.table("customers", f"select 1 as customer_id, now() as {column}")
    table = shop.schema().table("customers")
    assert (table.time_column, table.left_out) == (None, (column,))


def test__time__the_last_of_something__kept_where_declared_or_in_a_snapshot(shop):
    declared = {"columns": {"last_day": {"meta": {"rfm": {"semantic_type": "timestamp"}}}}}
    shop.table("employees", "select 1 as id, date '2025-01-01' as last_day", **declared)
    versions = "select 1 as id, now() as last_seen_at, now() as dbt_valid_from, null::timestamp as dbt_valid_to"
    shop.table("customers", versions, resource_type="snapshot")
    schema = shop.schema()
    assert "last_day" in [c.name for c in schema.table("employees").columns]
    assert "last_seen_at" in [c.name for c in schema.table("customers").columns]


def test__time__several_in_several_tables__asked_about_together(shop):
    shop.table("orders", TWO_TIMES)
    shop.table("tickets", "select 1 as id, now() as opened_at, now() as closed_at")
    message = (
        r"of each table, but model\.shop\.orders has created_at and paid_at; model\.shop\.tickets has opened_at and cl"
    )
    with pytest.raises(ProjectError, match=message):
        shop.schema()


def test__time__text_column_declared__refused_with_a_cast(shop):
    shop.table("orders", "select 1 as id, '2025-01-01' as ordered_at", event_time="ordered_at")
    with pytest.raises(ProjectError, match=r"time column orders\.ordered_at is VARCHAR, expected a date(.|\n)*Cast"):
        shop.schema()


def test__time__unknown_column_declared__candidate(shop):
    shop.table("orders", TWO_TIMES, event_time="payed_at")
    with pytest.raises(ProjectError, match="Did you mean paid_at"):
        shop.schema()


def test__snapshot__validity__from_and_to(shop):
    shop.table(
        "customers",
        "select 1 as customer_id, 'x' as dbt_scd_id, now() as dbt_updated_at, now() as dbt_valid_from, "
        "null::timestamptz as dbt_valid_to",
        resource_type="snapshot",
    )
    table = shop.schema().table("customers")
    assert (table.valid_from, table.valid_to, table.time_column) == ("dbt_valid_from", "dbt_valid_to", None)
    assert [c.name for c in table.columns] == ["customer_id", "dbt_valid_from", "dbt_valid_to"]


@pytest.mark.parametrize("written", ['"Ordered At"', "`Ordered At`", "ordered at"])
def test__event_time__written_with_quotes_as_dbt_needs_it__is_the_column(shop, written):
    shop.table("orders", """select 1 as id, now() as "Ordered At", now() as "Paid At" """, event_time=written)
    assert shop.schema().table("orders").time_column == "Ordered At"


def test__snapshot__renamed_columns__found(shop):
    shop.table(
        "customers",
        "select 1 as id, now() as since, null::timestamp as until",
        resource_type="snapshot",
        snapshot_columns={"dbt_valid_from": "since", "dbt_valid_to": "until"},
    )
    table = shop.schema().table("customers")
    assert (table.valid_from, table.valid_to) == ("since", "until")


def test__snapshot__key__unique_among_the_rows_valid_now(shop):
    shop.table(
        "customers",
        "select i % 2 as customer_id, timestamp '2025-01-01' + to_days(i::int) as dbt_valid_from, "
        "case when i < 2 then timestamp '2025-02-01' end as dbt_valid_to from range(4) t(i)",
        resource_type="snapshot",
    )
    assert shop.schema().table("customers").primary_key == ("customer_id",)
