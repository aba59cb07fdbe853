{{ config(materialized='prediction') }}

{{ dbt_rfm.predict("
    PREDICT LIST_DISTINCT(order_items.product_id, 0, 30, days) RANK TOP 5
    FOR EACH customers.customer_id
    WHERE COUNT(orders.*, -90, 0, days) > 0
") }}
