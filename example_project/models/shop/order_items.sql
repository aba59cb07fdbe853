-- Carries the product's category, so that a query can ask for it: FIRST(order_items.category, 0, 60, days).
-- It has no time of its own; dbt-rfm takes the time of the order.
select
    items.order_item_id,
    items.order_id,
    items.product_id,
    products.category,
    items.quantity,
    (items.unit_price_cents / 100)::decimal(10, 2) as unit_price
from {{ source('shop', 'raw_order_items') }} as items
left join {{ ref('products') }} as products using (product_id)
