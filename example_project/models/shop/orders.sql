select
    order_id,
    customer_id,
    store_id,
    ordered_at,
    nullif(device, '') as device,
    (amount_cents / 100)::decimal(10, 2) as amount,
    discount_percent
from {{ source('shop', 'raw_orders') }}
