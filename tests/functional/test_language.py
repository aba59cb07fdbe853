"""Constructs of the query language that reach into dbt: keys of several columns, versions of a model, snapshots."""

from __future__ import annotations

from dbt_projects import Project
from shop_project import predict

LINES = """
select
    order_id,
    'line ' || k as line_no,
    cast(order_id % 7 + k as integer) as quantity,
    case when order_id % 3 > 0 then (order_id + k) % 4 = 0 end as is_returned
from {{ ref('orders') }}, range(1, 3) as t(k)
where order_id <= 60
"""
VISITS = "select order_id as visit_id, customer_id, ordered_at from {{ ref('orders') }}"
SCHEMA = """
version: 2
models:
  - name: lines
    constraints: [{type: primary_key, columns: [order_id, line_no], warn_unsupported: false}]
    columns:
      - name: order_id
        data_tests:
          - relationships: {arguments: {to: ref('orders'), field: order_id}}
  - name: visits
    latest_version: 2
    config: {event_time: ordered_at}
    columns:
      - {name: visit_id, data_tests: [unique, not_null]}
      - name: customer_id
        data_tests:
          - relationships: {arguments: {to: ref('customers'), field: customer_id}}
    versions: [{v: 1}, {v: 2}]
"""
PLAN_NOW = """
select customer_id, case when customer_id % 2 = 0 then 'pro' else 'free' end as plan,
    timestamp '2025-06-01' + to_days(cast(customer_id as integer)) as changed_at
from {{ ref('customers') }}
"""
PLANS = """
snapshots:
  - name: plans
    relation: ref('plan_now')
    config: {unique_key: customer_id, strategy: timestamp, updated_at: changed_at}
    columns:
      - name: customer_id
        data_tests:
          - relationships: {arguments: {to: ref('customers'), field: customer_id}}
"""
OF_PROS = """
    PREDICT COUNT(orders.*, 0, 5, days) > 0
    FOR EACH customers.customer_id
    WHERE LAST(plans.plan) = 'pro'
"""
RETURNED = "PREDICT lines.is_returned FOR EACH lines.(order_id, line_no)"
WHICH_STORE = "PREDICT orders.store_id FOR EACH orders.order_id"
BASKET = """
    PREDICT SUM(orders.amount, 0, 60, days) / COUNT(orders.*, 0, 60, days)
    FOR EACH customers.customer_id
    WHERE COUNT(orders.* WHERE stores.kind LIKE 'c%', -90, 0, days) * 2 > 1
"""
LESS = """
    PREDICT COUNT(visits_v1.*, 0, 60, days) < COUNT(visits_v2.*, -60, 0, days)
    FOR EACH customers.customer_id
"""


class TestLanguage:
    def test__build__each_construct__publishes_its_table(self, shop: Project) -> None:
        shop.write("models/lines.sql", LINES)
        shop.write("models/visits_v1.sql", VISITS)
        shop.write("models/visits_v2.sql", f"{VISITS} where customer_id % 2 = 0")
        shop.write("models/more.yml", SCHEMA)
        shop.write("models/returned.sql", predict(RETURNED))
        shop.write("models/basket.sql", predict(BASKET, rfm="'reasons': 3, 'context_size': 60"))
        shop.write("models/which_store.sql", predict(WHICH_STORE, rfm="'label_delay': '5 days', 'context_size': 60"))
        shop.write("models/plan_now.sql", PLAN_NOW)
        shop.write("snapshots/plans.yml", PLANS)
        shop.write("models/of_pros.sql", predict(OF_PROS, rfm="'context_size': 60, 'anchor': '2025-06-30'"))
        shop.write("models/less.sql", predict(LESS, arguments=", tables=['visits.v1', 'visits']").replace("_v2.", "."))

        asked_for = "lines visits returned basket which_store less plan_now plans of_pros"
        built = shop.dbt("build", "--select", *asked_for.split())

        assert built.success, built.log
        asked = "select count(*) from lines where is_returned is null"
        columns = "order_id, line_no, anchor_time, probability, prediction"
        joined = f"select count(*) from (select {columns} from returned) inner join lines using (order_id, line_no)"
        assert shop.rows(joined) == shop.rows(asked) == [(40,)]
        assert shop.rows("select min(prediction) > 0, count(*) > 10 from basket") == [(True, True)]
        told = "select count(reasons), count(json_extract_string(reasons, '$[0].feature')) from basket"
        assert shop.rows(told) == [(3, 3)]
        assert shop.rows("select distinct class from which_store order by 1") == [("1",), ("2",), ("3",), ("4",)]
        assert shop.rows("select count(*) = (select count(*) from customers) from less") == [(True,)]
        # Plans are known from 1 June on, that of customer i from i days later: at the anchor those of 1 to 29.
        assert shop.rows("select customer_id from of_pros order by 1") == [(i,) for i in range(2, 30, 2)]
