"""The category of the first product each customer will buy in the next 60 days: a prediction as a dbt Python model."""

import dbt_rfm


def model(dbt, session):
    dbt.config(materialized="table")
    return dbt_rfm.predict(
        dbt,
        session,
        """
        PREDICT FIRST(order_items.category, 0, 60, days)
        FOR EACH customers.customer_id
        WHERE COUNT(orders.*, -90, 0, days) > 0
        """,
        tables={
            "customers": dbt.ref("customers"),
            "orders": dbt.ref("orders"),
            "order_items": dbt.ref("order_items"),
            "products": dbt.ref("products"),
            "stores": dbt.ref("stores"),
            "support_tickets": dbt.ref("support_tickets"),
        },
    )
