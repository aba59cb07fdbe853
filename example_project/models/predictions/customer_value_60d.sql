{{ config(materialized='prediction') }}

{{ dbt_rfm.predict("
    PREDICT SUM(orders.amount, 0, 60, days)
    FOR EACH customers.customer_id
    WHERE COUNT(orders.*, -180, 0, days) > 0
") }}
