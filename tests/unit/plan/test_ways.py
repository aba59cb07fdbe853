"""Which way a query takes from table to table; the answers are worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_worked import World, link, world
from hand_worked_shop import A, C, small_shop

from dbt_rfm.errors import QueryError


@pytest.fixture(scope="module")
def shop() -> World:
    return small_shop()


def test__hops__the_shortest_way__unless_via_says_otherwise(shop: World) -> None:
    stores = "FOR EACH stores.store_id"
    assert shop.labels(f"PREDICT COUNT(order_items.*, 0, 30) {stores}", A) == {1: 3, 2: 0}
    assert shop.labels(f"PREDICT SUM(orders.amount, 0, 30) {stores}", A) == {1: 100, 2: 0}
    assert shop.labels(f"PREDICT COUNT(orders.*, 0, 31) {stores}", A) == {1: 2, 2: 2}
    assert shop.labels(f"PREDICT COUNT(orders.* VIA customers.home_store_id, 0, 31) {stores}", A) == {1: 4, 2: 0}


@pytest.fixture(scope="module")
def two_ways(shop: World) -> World:
    """The shop in which an order also points at the customer who pays for it."""
    links = (*shop.schema.links, link("orders.billing_customer_id -> customers.customer_id"))
    return World(replace(shop.schema, links=links), shop.warehouse)


VIA = [
    ("COUNT(orders.* VIA orders.customer_id, 0, 30)", {1: 3, 2: 0, 3: 0}),
    ("COUNT(orders.* VIA orders.billing_customer_id, 0, 30)", {1: 2, 2: 1, 3: 0}),
    ("SUM(order_items.quantity VIA orders.billing_customer_id, 0, 30)", {1: 7, 2: 11, 3: 0}),
    ("COUNT(orders.* via orders.billing_customer_id WHERE customers.segment = 'Gold', 0, 30)", {1: 0, 2: 1, 3: 0}),
]


@pytest.mark.parametrize(("target", "expected"), VIA)
def test__via__chooses_the_way(two_ways: World, target: str, expected: dict) -> None:
    assert two_ways.labels(f"PREDICT {target} {C}", A) == expected


def test__via__in_where(two_ways: World) -> None:
    query = f"PREDICT COUNT(orders.* VIA orders.customer_id, 0, 9) {C} WHERE COUNT(orders.* VIA orders.customer_id) > "
    assert two_ways.who(query + "COUNT(orders.* VIA orders.billing_customer_id)", A) == [1]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "COUNT(orders.*, 0, 30)",
            r"ambiguous: orders.customer_id -> customers or orders.billing_customer_id -> customers(.|\n)*"
            r"Choose one by a foreign key: COUNT\(orders.\* VIA orders.customer_id, …\)",
        ),
        ("SUM(order_items.quantity, 0, 30)", r"COUNT\(order_items.\* VIA orders.customer_id, …\)"),
        ("COUNT(orders.* VIA orders.status, 0, 30)", "Foreign keys of orders: customer_id, store_id and billing"),
        ("COUNT(orders.* VIA orders.store_id, 0, 30)", "stores is not linked to customers"),
        ("COUNT(orders.* VIA order_items.order_id, 0, 30)", "orders is not linked to order_items"),
        (
            "COUNT(orders.* VIA orders.store_id WHERE customers.age > 3, 0, 30)",
            "stores is not linked to customers",
        ),
    ],
)
def test__via__ambiguous_or_wrong__says_how_to_choose(two_ways: World, target: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        two_ways.bound(f"PREDICT {target} {C}")


@pytest.fixture(scope="module")
def company() -> World:
    return world(
        """
        create table employees (employee_id integer, manager_id integer, hired_at timestamp, level integer);
        insert into employees values
            (1, null, '2020-01-01', 3), (2, 1, '2024-04-05', 2), (3, 1, '2023-01-01', 2), (4, 2, '2024-04-10', 1);
        """,
        keys={"employees": "employee_id"},
        times={"employees": "hired_at"},
        links=["employees.manager_id -> employees.employee_id"],
    )


def test__link_to_itself__rows_of_the_entity_table_that_point_at_the_entity(company: World) -> None:
    e, both = "FOR EACH employees.employee_id", "VIA employees.manager_id VIA employees.manager_id"
    assert company.labels(f"PREDICT COUNT(employees.*, 0, 30) {e}", A) == {1: 1, 3: 0}
    assert company.labels(f"PREDICT COUNT(employees.* {both}, 0, 30) {e}", A) == {1: 1, 3: 0}
    assert company.labels(f"PREDICT SUM(employees.level WHERE employees.level = 2, 0, 30) {e}", A) == {1: 2, 3: 0}
    assert company.who(f"PREDICT COUNT(employees.*, 0, 30) {e} WHERE COUNT(employees.*) > 0", A) == [1]
