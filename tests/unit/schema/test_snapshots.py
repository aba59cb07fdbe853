"""dbt's snapshots as projects configure them: deletions as rows, ends of current rows, names of their own."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import DataError
from dbt_rfm.schema.validate import validate

NAMES = {"dbt_valid_from": "since", "dbt_valid_to": "until", "dbt_scd_id": "row_hash", "dbt_is_deleted": "gone"}


def versions(shop, deleted: str = "dbt_is_deleted", **names: str) -> None:
    """Customer 1 changed once, and customer 2 was deleted in March; the last column says it."""
    shop.table(
        "customers",
        "select * from (values "
        "(1, 'a', timestamp '2025-01-01', timestamp '2025-02-01', 'False'), "
        "(1, 'b', timestamp '2025-02-01', null, 'False'), "
        "(2, 'c', timestamp '2025-01-01', timestamp '2025-03-01', null), "
        "(2, 'd', timestamp '2025-03-01', null, 'True')) "
        f"v(customer_id, {names.get('dbt_scd_id', 'dbt_scd_id')}, {names.get('dbt_valid_from', 'dbt_valid_from')}, "
        f"{names.get('dbt_valid_to', 'dbt_valid_to')}, {deleted})",
        resource_type="snapshot",
        snapshot_columns=names,
    )


@pytest.mark.parametrize(("deleted", "names"), [("dbt_is_deleted", {}), ("gone", NAMES)])
def test__deleted__row_that_says_so__is_no_version_of_the_thing(shop, deleted: str, names: dict[str, str]) -> None:
    versions(shop, deleted, **names)

    table = shop.schema().table("customers")

    until = table.valid_to
    read = f"select customer_id, {until} is null from {table.relation} order by all"
    assert shop.connection.execute(read).fetchall() == [(1, False), (1, True), (2, False)]
    assert [c.name for c in table.columns] == ["customer_id", table.valid_from, until]


def test__deleted__column_of_that_name_elsewhere__is_a_column_like_any_other(shop) -> None:
    shop.table("notes", "select i as note_id, i = 1 as dbt_is_deleted from range(3) t(i)")

    table = shop.schema().table("notes")

    assert table.relation == '"memory"."main"."notes"'
    assert "dbt_is_deleted" in [c.name for c in table.columns]


def test__current_rows_with_an_end_far_away__duplicates_are_found_among_them(shop) -> None:
    shop.table(
        "customers",
        "select i % 2 as customer_id, timestamp '2025-01-01' + to_days(i::int) as dbt_valid_from, "
        "timestamp '9999-12-31' as dbt_valid_to from range(4) t(i)",
        resource_type="snapshot",
    )
    shop.table("orders", "select i as order_id, i % 2 as customer_id from range(4) t(i)")
    shop.relationship("orders", "customer_id", "customers", "customer_id")
    assert shop.schema().table("customers").primary_key == ()

    shop.key("customers", "customer_id")

    with pytest.raises(DataError, match="2 values stand in more than one row of customer_id"):
        for finding in validate(shop.schema(), shop.warehouse):
            finding.raise_if_error()
