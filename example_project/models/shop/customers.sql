select
    customer_id,
    signed_up_at,
    region,
    nullif(channel, '') as channel,
    birth_year,
    newsletter
from {{ source('shop', 'raw_customers') }}
