"""What of the tables changed since the last version, in words."""

from __future__ import annotations

from dbt_rfm.versions.schema_change import differences


def graph(**tables: dict[str, str]) -> dict:
    return {"tables": {name: {"key": [], "columns": columns} for name, columns in tables.items()}}


BEFORE = graph(orders={"id": "id", "amount": "numerical"}, stores={"id": "id"})


def test__differences__nothing_changed__says_nothing() -> None:
    assert differences(BEFORE, BEFORE) == []


def test__differences__a_table_came_and_one_went() -> None:
    after = graph(orders={"id": "id", "amount": "numerical"}, refunds={"id": "id"})
    assert differences(BEFORE, after) == ["table refunds is new", "table stores is gone"]


def test__differences__one_column_went_and_one_like_it_came__are_told_together() -> None:
    after = graph(orders={"id": "id", "total": "numerical"}, stores={"id": "id"})
    assert differences(BEFORE, after) == ["orders.amount is gone and orders.total of the same kind is there"]


def test__differences__columns_added_dropped_and_read_otherwise() -> None:
    after = graph(orders={"id": "id", "note": "text", "at": "timestamp"}, stores={"id": "numerical"})
    assert differences(BEFORE, after) == [
        "orders.note is new",
        "orders.at is new",
        "orders.amount is gone",
        "stores.id was id and is numerical",
    ]


def test__differences__nothing_known_of_before__says_nothing() -> None:
    assert differences({}, BEFORE) == []
