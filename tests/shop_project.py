"""A compact shop: 80 customers over 18 months. A customer orders every few days until the day they leave, so that a
month without orders can be foreseen from the past.
"""

from __future__ import annotations

CHURN = (
    "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id WHERE COUNT(orders.*, -60, 0, days) > 0"
)

PROJECT = """
name: shop
version: "1.0"
profile: shop
model-paths: [models]
vars:
  dbt_rfm_graph: [customers, orders, stores]
models:
  shop:
    +materialized: table
"""

CUSTOMERS = """
select
    i as customer_id,
    timestamp '2024-01-01' + to_days(cast((i * 7) % 240 as integer)) as signed_up_at,
    ['basic', 'plus', 'pro'][1 + i % 3] as segment,
    hash(i * 31) % 5 as city_id
from range(1, 81) as t(i)
"""

# Every customer has a pace and a last day; a third leaves in the course of the data.
ORDERS = """
with pace as (
    select
        customer_id,
        signed_up_at,
        3 + hash(customer_id * 17) % 18 as every_days,
        case when hash(customer_id * 13) % 3 = 0
            then signed_up_at + to_days(cast(60 + hash(customer_id * 11) % 300 as integer))
            else timestamp '2025-07-01' end as leaves_at
    from {{ ref('customers') }}
),
visits as (
    select
        customer_id,
        leaves_at,
        signed_up_at + to_days(cast(k * every_days + hash(customer_id * 1000 + k) % 3 as integer)) as ordered_at,
        round(5 + (hash(customer_id * 77 + k) % 9000) / 100.0, 2) as amount,
        1 + hash(customer_id * 5 + k) % 4 as store_id
    from pace, range(0, 200) as t(k)
)
select
    row_number() over (order by ordered_at, customer_id) as order_id,
    customer_id, store_id, amount, ordered_at
from visits
where ordered_at < leaves_at and ordered_at < timestamp '2025-07-01'
"""

SCHEMA = """
version: 2
models:
  - name: customers
    config: {event_time: signed_up_at}
    columns:
      - {name: customer_id, data_tests: [unique, not_null]}
  - name: orders
    config: {event_time: ordered_at}
    columns:
      - {name: order_id, data_tests: [unique, not_null]}
      - name: customer_id
        data_tests:
          - relationships: {arguments: {to: ref('customers'), field: customer_id}}
      - name: store_id
        data_tests:
          - relationships: {arguments: {to: ref('stores'), field: store_id}}
seeds:
  - name: stores
    columns:
      - {name: store_id, data_tests: [unique, not_null]}
"""

STORES = "store_id,kind\n1,city\n2,city\n3,mall\n4,online\n"

#: What a project tests of its prediction.
TESTS = """
models:
  - name: churn
    data_tests:
      - dbt_rfm.beats_baseline
      - dbt_rfm.prediction_fresh: {arguments: {max_age_days: 36500}}
    columns:
      - name: probability
        data_tests: [dbt_rfm.valid_probability]
"""


def predict(query: str = CHURN, *, config: str = "", rfm: str = "'context_size': 60", arguments: str = "") -> str:
    """The text of a prediction model; the small context keeps the tests quick."""
    return (
        f"{{{{ config(materialized='prediction', meta={{'rfm': {{{rfm}}}}}{config}) }}}}\n"
        f'{{{{ dbt_rfm.predict("{query}"{arguments}) }}}}\n'
    )
