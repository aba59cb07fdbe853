{{ config(materialized='prediction') }}

{{ dbt_rfm.predict("
    PREDICT COUNT(orders.*, 0, 30, days) = 0
    FOR EACH customers.customer_id
    WHERE COUNT(orders.*, -90, 0, days) > 0
") }}
