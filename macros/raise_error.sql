{# A user's error, worded as errors.py words it: where, what is wrong, what to write instead. #}
{% macro raise_error(problem, hint='') %}
  {%- do exceptions.raise_compiler_error(problem ~ ('\n  ' ~ hint if hint else '')) -%}
{% endmacro %}
