{#
  A probability: not null, from 0 to 1. With `sum_to_one_by` (a column or a list of columns) the probabilities of each
  of its groups also sum to one, as those of the classes of one entity do.
#}
{% test valid_probability(model, column_name, sum_to_one_by=none) %}
  {%- set probability = dbt_rfm.column(column_name) -%}
  {%- set keys = [] -%}
  {%- for key in ([sum_to_one_by] if sum_to_one_by is string else sum_to_one_by or []) -%}
    {%- do keys.append(dbt_rfm.column(key)) -%}
  {%- endfor %}
select {{ probability }} as value, 'null or outside 0 to 1' as problem
from {{ model }}
where {{ probability }} is null or not ({{ probability }} between 0 and 1)
{% if keys -%}
union all
select sum({{ probability }}) as value, 'does not sum to 1' as problem
from {{ model }}
group by {{ keys | join(', ') }}
having abs(sum({{ probability }}) - 1) > 0.001
{% endif %}
{% endtest %}
