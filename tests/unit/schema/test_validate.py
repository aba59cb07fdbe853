"""Findings about the rows: counted, with one example, graded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_rfm.errors import DataError
from dbt_rfm.schema.validate import Severity, validate


def found(shop, **options) -> list[tuple[str, str]]:
    return [(str(f.severity), f.problem) for f in validate(shop.schema(), shop.warehouse, **options)]


def test__validate__good_rows__nothing_found(declared_shop):
    assert found(declared_shop) == []


def test__validate__duplicate_key_of_a_parent__error_with_count_and_example(declared_shop):
    declared_shop.connection.execute("insert into customers values (7, 'x'), (7, 'y'), (3, 'z')")
    (finding,) = validate(declared_shop.schema(), declared_shop.warehouse)
    assert finding.severity is Severity.ERROR
    assert finding.problem == "customers: 2 values stand in more than one row of customer_id, the key, e.g. 3"
    with pytest.raises(DataError, match=r"2 values stand(.|\n)*Make customer_id unique in model\.shop\.customers"):
        finding.raise_if_error()


def test__validate__duplicate_key_nothing_points_at__warning_unless_it_is_the_entity(declared_shop):
    declared_shop.connection.execute("insert into orders select * from orders where order_id = 5")
    problem = "orders: 1 value stands in more than one row of order_id, the key, e.g. 5"
    assert found(declared_shop) == [("warning", problem)]
    assert found(declared_shop, entity="orders") == [("error", problem)]


def test__validate__duplicate_of_a_target_that_is_no_key__error(shop):
    shop.table("users", "select range as id, 'mail' || range // 2 as email from range(4)")
    shop.table("logins", "select range as id, 'mail0' as user_email from range(3)")
    shop.key("users", "id")
    shop.relationship("logins", "user_email", "users", "email", severity="WARN")
    assert found(shop) == [("error", "users: 2 values stand in more than one row of email, the key, e.g. mail0")]


def test__validate__composite_key__duplicates_counted(shop):
    shop.table(
        "lines", "select range // 4 as invoice, range % 2 as line from range(8)", primary_key=("invoice", "line")
    )
    assert found(shop) == [("warning", "lines: 4 values stand in more than one row of invoice, line, the key")]


def test__validate__null_keys__counted(declared_shop):
    declared_shop.connection.execute("insert into customers values (null, 'x'), (null, 'y')")
    assert found(declared_shop) == [("warning", "2 of 22 customers have no customer_id, which is the key")]


def test__validate__missing_parents__counted_with_an_example(declared_shop):
    declared_shop.connection.execute("update orders set customer_id = 4711 where order_id < 3")
    declared_shop.connection.execute("update orders set customer_id = null where order_id = 50")
    assert found(declared_shop) == [("warning", "3 of 99 orders.customer_id find no customers.customer_id, e.g. 4711")]


def test__validate__empty_table__note(declared_shop):
    declared_shop.connection.execute("delete from orders")
    assert found(declared_shop) == [("note", "orders has no rows")]


def test__validate__linked_to_nothing__warning(declared_shop):
    declared_shop.table("weather", "select 1 as id")
    assert found(declared_shop) == [("warning", "weather is linked to no other table and adds nothing to a prediction")]


def test__validate__key_types_that_do_not_compare__error(shop):
    shop.table("users", "select range as id from range(3)")
    shop.table("posts", "select range as id, 'u' || range as user_id from range(3)")
    shop.relationship("posts", "user_id", "users", "id")
    assert found(shop) == [("error", "posts.user_id is VARCHAR and users.id is BIGINT: they cannot be compared")]


def test__validate__snapshot__versions_are_no_duplicates(shop):
    shop.table(
        "customers",
        "select 1 as customer_id, timestamp '2025-01-01' as dbt_valid_from, timestamp '2025-02-01' as dbt_valid_to "
        "union all select 1, timestamp '2025-02-01', null",
        resource_type="snapshot",
        primary_key=("customer_id",),
    )
    assert found(shop) == []


def test__validate__several_findings__errors_first(declared_shop):
    declared_shop.connection.execute("update orders set customer_id = 4711 where order_id < 3")
    declared_shop.connection.execute("insert into customers values (7, 'x')")
    declared_shop.table("nothing", "select 1 as id where false")
    assert [severity for severity, _ in found(declared_shop)] == ["error", "warning", "warning", "note"]


@settings(max_examples=25, deadline=None)
@given(
    parents=st.lists(st.integers(0, 9), max_size=12),
    children=st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=12),
)
def test__validate__any_rows__counts_like_plain_python(make_shop, parents, children):
    shop = make_shop()
    shop.connection.execute("create table users (id bigint)")
    shop.connection.execute("create table posts (id bigint, author bigint)")
    shop.connection.executemany("insert into users values (?)", [(p,) for p in parents] or [(0,)])
    shop.connection.executemany("insert into posts values (?, ?)", [*enumerate(children)] or [(0, None)])
    for name in ("users", "posts"):
        shop.table(f"{name}_", f"from {name}")
    shop.key("users_", "id")
    shop.relationship("posts_", "author", "users_", "id")
    parents, children = parents or [0], children or [None]
    repeated = sorted({p for p in parents if parents.count(p) > 1})
    missing = sorted(c for c in children if c is not None and c not in parents)
    problems = " ".join(f.problem for f in validate(shop.schema(), shop.warehouse))
    assert (f"e.g. {repeated[0]}" in problems) if repeated else ("more than one row" not in problems)
    pointing = sum(c is not None for c in children)
    said = f"{len(missing)} of {pointing} posts_.author find no users_.id, e.g. {missing[0]}" if missing else ""
    assert said in problems
    assert ("find no" in problems) == bool(missing)
