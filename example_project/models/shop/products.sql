select
    product_id,
    category,
    brand,
    price_band,
    (list_price_cents / 100)::decimal(10, 2) as list_price,
    launched_at
from {{ source('shop', 'raw_products') }}
