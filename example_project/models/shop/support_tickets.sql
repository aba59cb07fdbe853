select
    ticket_id,
    customer_id,
    order_id,
    opened_at,
    topic
from {{ source('shop', 'raw_support_tickets') }}
