{{ config(materialized='prediction') }}

{{ dbt_rfm.predict("
    PREDICT SUM(orders.amount, 0, 7, days) FORECAST 8 TIMEFRAMES
    FOR EACH stores.store_id
") }}
