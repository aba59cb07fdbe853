{#
  The newest prediction is not older than `max_age_days`, or than `count` periods (`period`: minute, hour or day).
  Age counts from `time_column`: anchor_time, up to which the data were read, or predicted_at, when the model ran.
#}
{% test prediction_fresh(model, max_age_days=none, period=none, count=none, time_column='anchor_time') %}
  {%- set both = max_age_days is not none and (period is not none or count is not none) -%}
  {%- set unit, number = ('day', max_age_days) if max_age_days is not none else (period, count) -%}
  {%- if both or unit not in ['minute', 'hour', 'day'] or number is not number -%}
    {%- do dbt_rfm.raise_error('prediction_fresh takes max_age_days, or period (minute, hour, day) and count', 'Write max_age_days: 2, or period: hour and count: 12.') -%}
  {%- endif -%}
  {%- set minutes = (number * {'minute': 1, 'hour': 60, 'day': 1440}[unit]) | round | int %}
select max({{ dbt_rfm.column(time_column) }}) as newest
from {{ model }}
having max({{ dbt_rfm.column(time_column) }}) < {{ dbt_rfm.utc_now() }} - interval '{{ minutes }} minutes'
{% endtest %}
