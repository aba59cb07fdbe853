{# A user's error, worded as errors.py words it: where, what is wrong, what to write instead. #}
{% macro raise_error(problem, hint='') %}
  {%- do exceptions.raise_compiler_error(problem ~ ('\n  ' ~ hint if hint else '')) -%}
{% endmacro %}


{# Why a prediction was not made. What --sample leaves out is no fault of the tables that the message names. #}
{% macro raise_failure(message) %}
  {%- set sampled = '\n  dbt ran with --sample, which leaves out all rows whose event_time is outside it, also of the table asked about.' -%}
  {%- do exceptions.raise_compiler_error(message ~ (sampled if invocation_args_dict.get('sample') else '')) -%}
{% endmacro %}
