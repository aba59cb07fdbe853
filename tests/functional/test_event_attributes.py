"""An attribute of events under dbt: disputed payments, known two weeks after the payment."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import predict

pytestmark = pytest.mark.functional

# A few customers dispute most of what they pay, and everybody what is dear; the newest outcomes are not in yet.
PAYMENTS = """
select
    order_id as payment_id, customer_id, store_id, ordered_at as paid_at, amount,
    case when ordered_at > timestamp '2025-06-20' then null
        else (customer_id % 9 = 0 and hash(order_id) % 10 < 7) or amount > 92 end as is_disputed
from {{ ref('orders') }}
"""
SCHEMA = """
models:
  - name: payments
    config: {event_time: paid_at}
    columns:
      - {name: payment_id, data_tests: [unique, not_null]}
      - name: customer_id
        data_tests: [{relationships: {arguments: {to: ref('customers'), field: customer_id}}}]
      - name: store_id
        data_tests: [{relationships: {arguments: {to: ref('stores'), field: store_id}}}]
  - name: disputes
    columns:
      - name: payment_id
        data_tests: [unique, not_null]
      - name: probability
        data_tests: [dbt_rfm.valid_probability]
"""
DISPUTES = "PREDICT payments.is_disputed FOR EACH payments.payment_id"


class TestEventAttributes:
    def test__build__payments_not_known_yet__are_scored_and_beat_their_parents_history(self, shop: Project) -> None:
        shop.write("models/payments.sql", PAYMENTS)
        shop.write("models/payments.yml", SCHEMA)
        shop.write("models/disputes.sql", predict(DISPUTES, rfm="'context_size': 300, 'label_delay': '14 days'"))

        built = shop.dbt("build", "--select", "payments+")

        assert built.success, built.log
        (line,) = [line for line in built.log.splitlines() if "backtest on" in line]
        assert "auroc" in line and "history of" in line and "DOES NOT BEAT" not in line
        newest = "select max(paid_at) - interval 14 day from payments"
        asked = f"select payment_id, paid_at from payments where paid_at > ({newest})"
        assert shop.rows("select payment_id, anchor_time from disputes order by 1") == shop.rows(f"{asked} order by 1")
        assert shop.rows("select distinct baseline from rfm_metrics order by 1") == [
            ("",),
            ("constant",),
            ("history of customers",),
            ("history of stores",),
        ]

    def test__build__delay_on_another_question__is_one_clear_message(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict(rfm="'label_delay': '14 days'"))

        built = shop.dbt("run", "--select", "churn")

        assert not built.success
        assert "label_delay says when the outcome of an event is known" in built.messages["churn"]
        assert "Traceback" not in built.log
