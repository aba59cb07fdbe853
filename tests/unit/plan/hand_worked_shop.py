"""A small shop, of whose queries the answers are worked out by hand.

The anchor A is the end of March 2024, 12:00. Three customers: 1 is busy, 2 ordered once, 3 never did.
"""

from __future__ import annotations

from datetime import datetime

from hand_worked import World, world

A = datetime(2024, 3, 31, 12)
C = "FOR EACH customers.customer_id"

_SCRIPT = """
create table stores (store_id integer, region varchar);
insert into stores values (1, 'north'), (2, 'south');
create table customers (customer_id integer, home_store_id integer, name varchar, segment varchar, age integer);
insert into customers values (1, 1, 'Ann_A', 'gold', 30), (2, 2, 'Bob%', 'Gold', 40), (3, null, null, null, null);
create table orders (
    order_id integer, customer_id integer, billing_customer_id integer, store_id integer,
    ordered_at timestamp, delivered_at timestamp, status varchar, amount decimal(10, 2), fee integer, is_gift boolean);
insert into orders values
    -- before A
    (1, 1, 2, 1, '2023-12-31 12:00', '2024-01-02', 'paid',     10.00, 1,    false),
    (2, 1, 1, 2, '2024-03-01 12:00', '2024-03-05', 'paid',     20.00, 2,    true),
    (3, 1, 1, 2, '2024-03-31 12:00', '2024-04-02', 'returned', 30.00, null, false), -- at A: past, not future
    (4, 2, 2, 1, '2024-02-29 12:00', null,         'paid',      5.00, 0,    null),
    -- after A
    (5, 1, 2, 1, '2024-04-10 12:00', '2024-04-11', 'paid',     40.00, 4,    true),
    (6, 1, 1, 1, '2024-04-20 12:00', null,         'late',     60.00, 5,    false),
    (7, 1, 1, 2, '2024-04-30 12:00', '2024-05-02', null,        null, null, null),  -- 30 days and a month after A
    (8, 1, 1, 2, '2024-05-01 12:00', null,         'paid',     99.00, 9,    false); -- 31 days after A
create table products (product_id integer, category varchar, price double);
insert into products values (1, 'bread', 2.5), (2, 'Jam 5%', 4.0);
create table order_items (item_id integer, order_id integer, product_id integer, quantity integer);
insert into order_items values
    (1, 1, 1, 1), (2, 2, 1, 2), (3, 2, 2, 3), (4, 4, 2, 4), (5, 5, 1, 5), (6, 5, 2, 6), (7, 6, null, 7), (8, 8, 1, 8);
"""


def small_shop() -> World:
    return world(
        _SCRIPT,
        keys={
            "stores": "store_id",
            "customers": "customer_id",
            "orders": "order_id",
            "products": "product_id",
            "order_items": "item_id",
        },
        times={"orders": "ordered_at"},
        links=[
            "orders.customer_id -> customers.customer_id",
            "orders.store_id -> stores.store_id",
            "customers.home_store_id -> stores.store_id",
            "order_items.order_id -> orders.order_id",
            "order_items.product_id -> products.product_id",
        ],
    )
