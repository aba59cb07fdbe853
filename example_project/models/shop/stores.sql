select
    store_id,
    region,
    format,
    area_m2,
    opened_at
from {{ source('shop', 'raw_stores') }}
