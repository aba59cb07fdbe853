select
    customers.customer_id,
    customers.region,
    customers.channel,
    churn.probability as churn_probability_30d,
    value.prediction as expected_value_60d,
    value.p90 as high_value_60d,
    category.class as likely_next_category,
    churn.probability * value.prediction as value_at_risk
from {{ ref('customers') }} as customers
left join {{ ref('customer_churn_30d') }} as churn using (customer_id)
left join {{ ref('customer_value_60d') }} as value using (customer_id)
left join {{ ref('customer_next_category') }} as category
    on category.customer_id = customers.customer_id and category.rank = 1
