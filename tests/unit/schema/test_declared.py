"""Keys and links that the project declares, in all the ways dbt offers."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import JobTest
from dbt_rfm.schema.types import Link


def links(schema) -> list[str]:
    return [str(link) for link in schema.links]


# --- keys


def test__key__unique_and_not_null__declared(declared_shop):
    table = declared_shop.schema().table("orders")
    assert table.primary_key == ("order_id",)
    assert not table.primary_key_inferred


def test__key__only_unique__not_declared(shop):
    shop.table("codes", "select range as code_value from range(3)")
    shop.test("unique", "codes", "code_value")
    assert shop.schema().table("codes").primary_key == ()


def test__key__constraint_on_column_or_model__declared(shop):
    shop.table("a", "select 1 as x", columns={"x": {"name": "x", "constraints": [{"type": "primary_key"}]}})
    shop.table("b", "select 1 as x, 2 as y", constraints=({"type": "primary_key", "columns": ["x", "y"]},))
    schema = shop.schema()
    assert schema.table("a").primary_key == ("x",)
    assert schema.table("b").primary_key == ("x", "y")


def test__key__only_dbts_primary_key__used(shop):
    shop.table("a", "select 1 as X", primary_key=("x",))
    assert shop.schema().table("a").primary_key == ("X",)


def test__key__combination_test__composite(shop):
    shop.table("lines", "select 1 as invoice, 1 as line")
    kwargs = {"arguments": {"combination_of_columns": ["invoice", "line"]}}
    shop.test("unique_combination_of_columns", "lines", None, kwargs=kwargs, namespace="dbt_utils")
    assert shop.schema().table("lines").primary_key == ("invoice", "line")


def test__key__several_unique_columns__the_one_links_point_at(declared_shop):
    declared_shop.table("users", "select range as id, 'u' || range as email from range(3)")
    declared_shop.table("logins", "select 'u1' as user_email")
    declared_shop.key("users", "id")
    declared_shop.key("users", "email")
    assert declared_shop.schema().table("users").primary_key == ("id",)
    declared_shop.relationship("logins", "user_email", "users", "email")
    assert declared_shop.schema().table("users").primary_key == ("email",)


@pytest.mark.parametrize(
    ("more", "said"),
    [({"severity": "WARN"}, "has severity warn"), ({"where": "x > 1"}, "only looks at rows where x > 1")],
)
def test__key__weak_tests__used_and_said(shop, more, said):
    shop.table("a", "select 1 as x")
    shop.key("a", "x", **more)
    schema = shop.schema()
    assert schema.table("a").primary_key == ("x",)
    assert any("x is taken as the key although" in note and said in note for note in schema.notes)


def test__key__test_on_a_column_that_is_gone__candidate(shop):
    shop.table("orders", "select 1 as order_id")
    shop.key("orders", "order_idd")
    with pytest.raises(ProjectError, match=r"orders has no column order_idd\n.*Did you mean order_id\?"):
        shop.schema()


def test__key__test_on_an_expression__not_a_key(shop):
    shop.table("a", "select 'X' as name")
    shop.key("a", "lower(name)")
    assert shop.schema().table("a").primary_key == ()


# --- links from tests


def test__link__relationships_test__declared(declared_shop):
    assert declared_shop.schema().links == (
        Link("orders", "customer_id", "customers", "customer_id", "relationships test"),
    )


def test__link__arguments_nested__found(shop):
    shop.table("users", "select 1 as id")
    shop.table("posts", "select 1 as author")
    shop.relationship("posts", "author", "users", "id", kwargs={"arguments": {"to": "ref('users')", "field": "id"}})
    assert links(shop.schema()) == ["posts.author -> users.id"]


def test__link__self_reference__one_node(shop):
    shop.table("staff", "select 1 as id, null::int as boss")
    shop.relationship("staff", "boss", "staff", "id")
    assert links(shop.schema()) == ["staff.boss -> staff.id"]


def test__link__sources_without_attached_node__child_and_parent_told_apart(shop):
    users = shop.table("users", "select 1 as id", unique_id="source.shop.app.users", resource_type="source")
    events = shop.table("events", "select 1 as who", unique_id="source.shop.app.events", resource_type="source")
    for order in ((users, events), (events, users)):
        shop.tests = [
            JobTest("relationships", "who", {"to": "source('app', 'users')", "field": "id"}, depends_on=order)
        ]
        assert links(shop.schema()) == ["events.who -> users.id"]


def test__link__test_on_a_source_that_points_at_a_model__found(shop):
    model = shop.table("users", "select 1 as id")
    source = shop.table("events", "select 1 as who", unique_id="source.shop.app.events", resource_type="source")
    shop.tests = [JobTest("relationships", "who", {"to": "ref('users')", "field": "id"}, depends_on=(model, source))]
    assert links(shop.schema()) == ["events.who -> users.id"]


def test__link__model_versions__the_right_one(shop):
    shop.table("users", "select 1 as id", unique_id="model.shop.users.v2")
    shop.table("posts", "select 1 as author")
    shop.tests = [
        JobTest(
            "relationships",
            "author",
            {"to": "ref('users', v=2)", "field": "id"},
            "model.shop.posts",
            ("model.shop.users.v2", "model.shop.posts"),
        )
    ]
    assert links(shop.schema()) == ["posts.author -> users.id"]


def on_users(version: str) -> JobTest:
    """posts.author belongs to a version of users."""
    nodes = (f"model.shop.users.{version}", "model.shop.posts")
    return JobTest("relationships", "author", {"to": "ref('users')", "field": "id"}, nodes[1], nodes)


def test__link__test_on_another_version_of_the_model__used_and_said(shop):
    shop.table("users", "select 1 as ID", unique_id="model.shop.users.v2")
    shop.table("posts", "select 1 as author")
    shop.tests = [on_users("v1")]
    schema = shop.schema()
    assert links(schema) == ["posts.author -> users.ID"]
    said = "posts.author -> users.ID: used, although the relationships test is on users.v1"
    assert [note for note in schema.notes if "users" in note and "author" in note] == [said]


def test__link__other_version_lacks_the_column__parent_is_outside_the_graph(shop):
    shop.table("users", "select 'x' as name", unique_id="model.shop.users.v2")
    shop.table("posts", "select 1 as author")
    shop.tests = [on_users("v1")]
    schema = shop.schema()
    assert links(schema) == []
    assert any("posts.author points at users, which is not in the graph" in note for note in schema.notes)


def test__link__both_versions_in_the_graph__the_tested_one(shop):
    for version in ("v1", "v2"):
        shop.table(f"users_{version}", "select 1 as id", unique_id=f"model.shop.users.{version}")
    shop.table("posts", "select 1 as author")
    shop.tests = [on_users("v1")]
    assert [link.weak for link in shop.schema().links] == [False]
    assert links(shop.schema()) == ["posts.author -> users_v1.id"]


@pytest.mark.parametrize(
    ("more", "said"),
    [({"severity": "WARN"}, "has severity warn"), ({"where": "total > 0"}, "only looks at rows where total > 0")],
)
def test__link__weak_test__used_and_said(declared_shop, more, said):
    declared_shop.tests = [t for t in declared_shop.tests if t.name != "relationships"]
    declared_shop.relationship("orders", "customer_id", "customers", "customer_id", **more)
    schema = declared_shop.schema()
    assert schema.links[0].weak and not schema.links[0].inferred
    assert any("orders.customer_id -> customers.customer_id: used, although" in n and said in n for n in schema.notes)


def test__link__weak_and_strong_test__strong_wins(declared_shop):
    declared_shop.relationship("orders", "customer_id", "customers", "customer_id", severity="WARN")
    assert [link.weak for link in declared_shop.schema().links] == [False]


def test__link__tests_of_other_packages__not_taken_for_dbts(declared_shop):
    declared_shop.tests = [t for t in declared_shop.tests if t.name != "relationships"]
    declared_shop.relationship("orders", "total", "customers", "customer_id", namespace="other")
    assert "orders.total -> customers.customer_id" not in links(declared_shop.schema())


def test__link__parent_outside_the_graph__said_with_what_to_do(declared_shop):
    declared_shop.relationship("orders", "order_id", "stores", "store_id")
    notes = declared_shop.schema().notes
    assert "orders.order_id points at stores, which is not in the graph: add it to dbt_rfm_graph or tables=" in notes


def test__link__child_outside_the_graph__named(declared_shop):
    declared_shop.relationship("payments", "order_id", "orders", "order_id")
    assert any(n.startswith("outside the graph, with links into it: payments") for n in declared_shop.schema().notes)


# --- links from constraints


@pytest.mark.parametrize(
    "constraint",
    [
        {"to": "ref('users')", "to_columns": ["id"]},
        {"to": 'ref("shop", "users")', "to_columns": ["id"]},
        {"to": '"memory"."main"."users"', "to_columns": ["ID"]},
        {"expression": "main.users (id)"},
        {"expression": 'REFERENCES "users"("id")'},
    ],
)
def test__foreign_key__every_way_to_write_it__link(shop, constraint):
    shop.table("users", "select 1 as id")
    shop.table(
        "posts", "select 1 as author", columns={"author": {"constraints": [{"type": "foreign_key", **constraint}]}}
    )
    assert shop.schema().links == (Link("posts", "author", "users", "id", "foreign key"),)


def test__foreign_key__on_the_model_without_columns__points_at_the_key(shop):
    shop.table("users", "select 1 as id", primary_key=("id",))
    constraint = {"type": "foreign_key", "columns": ["author"], "to": "ref('users')"}
    shop.table("posts", "select 1 as author", constraints=(constraint,))
    assert links(shop.schema()) == ["posts.author -> users.id"]


def test__foreign_key__to_a_source__link(shop):
    shop.table("users", "select 1 as id", unique_id="source.shop.app.users", resource_type="source")
    constraint = {"type": "foreign_key", "to": "source('app', 'users')", "to_columns": ["id"]}
    shop.table("posts", "select 1 as author", columns={"author": {"constraints": [constraint]}})
    assert links(shop.schema()) == ["posts.author -> users.id"]


def test__foreign_key__several_columns__links_combined_columns(shop):
    shop.table("users", "select 1 as b, 2 as a", constraints=({"type": "primary_key", "columns": ["a", "b"]},))
    constraint = {"type": "foreign_key", "columns": ["y", "x"], "to": "ref('users')", "to_columns": ["b", "a"]}
    shop.table("posts", "select 1 as x, 2 as y", constraints=(constraint,))
    schema = shop.schema()
    assert [str(link) for link in schema.links] == ["posts.x, y -> users.a, b"], "in the order of the parent's key"
    users = schema.table("users")
    assert users.primary_key == ("a, b",) and users.combined == ("a", "b")
    assert schema.table("posts").column("x, y").made_of == ("x", "y")


def test__foreign_key__several_columns_of_no_key__links_all_the_same(shop):
    shop.table("users", "select 1 as a, 2 as b, 3 as id")
    constraint = {"type": "foreign_key", "columns": ["x", "y"], "to": "ref('users')", "to_columns": ["a", "b"]}
    shop.table("posts", "select 1 as x, 2 as y", constraints=(constraint,))
    schema = shop.schema()
    assert [str(link) for link in schema.links] == ["posts.x, y -> users.a, b"]
    assert schema.table("users").combined == ()


def test__foreign_key__columns_do_not_pair_up__said_and_not_used(shop):
    shop.table("users", "select 1 as a, 2 as b, 3 as c", constraints=({"type": "primary_key", "columns": ["a", "b"]},))
    constraint = {"type": "foreign_key", "columns": ["x", "y", "z"], "to": "ref('users')"}
    shop.table("posts", "select 1 as x, 2 as y, 3 as z", constraints=(constraint,))
    schema = shop.schema()
    assert schema.links == ()
    assert any("the foreign key (x, y, z) of several columns does not fit users" in note for note in schema.notes)


def test__foreign_key__parent_outside_the_graph__said(shop):
    constraint = {"type": "foreign_key", "to": "ref('users')", "to_columns": ["id"]}
    shop.table("posts", "select 1 as author", columns={"author": {"constraints": [constraint]}})
    assert any("posts.author points at users, which is not in the graph" in n for n in shop.schema().notes)
