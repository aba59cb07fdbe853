"""The schema of a whole job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbt_rfm.errors import ProjectError, QueryError
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.from_job import label_table
from dbt_rfm.schema.types import SemanticType


def test__schema__everything_declared__nothing_inferred_and_no_notes(declared_shop):
    schema = declared_shop.schema()
    assert [t.name for t in schema.tables] == ["customers", "orders"]
    assert not any(t.primary_key_inferred or t.time_column_inferred for t in schema.tables)
    assert schema.notes == ("no time column, so their rows count as always known: customers",)


def test__schema__twice__equal(declared_shop):
    assert declared_shop.schema() == declared_shop.schema()


def test__schema__subquery_relations__read(declared_shop):
    """dbt renders --empty and --sample as subqueries."""
    declared_shop.tables = [
        replace(t, relation=f"(select * from {t.relation} where false limit 0)") for t in declared_shop.tables
    ]
    schema = declared_shop.schema()
    assert schema.table("orders").primary_key == ("order_id",)
    assert len(schema.links) == 1


def test__schema__alias_twice__refused_with_both_relations(declared_shop):
    again = replace(declared_shop.tables[0], alias="ORDERS")
    declared_shop.tables.append(again)
    with pytest.raises(ProjectError, match=r'two tables have the alias ORDERS: .*"orders" and .*"customers"'):
        declared_shop.schema()


def test__schema__one_node_under_two_aliases__linked_both_ways(declared_shop):
    declared_shop.tables.append(replace(declared_shop.tables[0], alias="buyers"))
    assert [str(link) for link in declared_shop.schema().links] == [
        "orders.customer_id -> customers.customer_id",
        "orders.customer_id -> buyers.customer_id",
    ]


def test__schema__no_tables__says_how_to_list_them(shop):
    with pytest.raises(ProjectError, match=r"no tables(.|\n)*dbt_rfm_graph"):
        shop.schema()


def test__schema__missing_table__says_build_it(declared_shop):
    declared_shop.tables.append(replace(declared_shop.tables[0], alias="gone", relation='"memory"."main"."order"'))
    with pytest.raises(ProjectError, match=r"table order does not exist(.|\n)*dbt build"):
        declared_shop.schema()


def test__schema__meta_on_a_column_that_is_gone__candidate(shop):
    shop.table("a", "select 1 as total", columns={"totals": {"meta": {"rfm": {"ignore": True}}}})
    with pytest.raises(ProjectError, match="Did you mean total"):
        shop.schema()


def test__query__column_that_is_left_out__says_so_instead_of_denying_it(shop):
    ignored = {"later": {"meta": {"rfm": {"ignore": True}}}}
    shop.table("a", "select 1 as id, [1] as tags, 2 as later", columns=ignored)
    schema = shop.schema()
    assert schema.table("a").left_out == ("tags", "later")
    for name in ("Tags", "later"):
        with pytest.raises(
            QueryError, match=f"a.{name} is left out, by its type, as overwritten or by meta.rfm.ignore"
        ):
            bind(parse(f"PREDICT a.{name} FOR EACH a.id"), schema)


def test__label_table__columns__by_data_type(shop):
    shop.connection.execute("create table my_labels as select 1 as customer_id, now() as anchor_time, true as label")
    table = label_table("my_labels", shop.warehouse)
    assert table.name == "labels"
    assert [c.semantic_type for c in table.columns] == [
        SemanticType.NUMERICAL,
        SemanticType.TIMESTAMP,
        SemanticType.BOOLEAN,
    ]
