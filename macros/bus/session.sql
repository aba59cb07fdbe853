{#
  dbt's transaction, and how a session talks to a worker through the warehouse: writing so that others see it, reading what
  others wrote, and waiting. dbt-postgres leaves a transaction open after each query, in which current_timestamp stands
  still; dbt-snowflake commits each statement.
#}

{# Opens dbt's transaction; a hook may render to nothing, so it cannot be left to the hooks. #}
{% macro begin() %}
  {%- do adapter.dispatch('begin', 'dbt_rfm')() -%}
{% endmacro %}


{% macro default__begin() %}
  {%- call statement('rfm_begin') -%}select 1{%- endcall -%}
{% endmacro %}


{# dbt-postgres leaves BEGIN to its driver, which sends none after a commit that it did not make itself. #}
{% macro postgres__begin() %}
  {%- call statement('rfm_begin') -%}begin{%- endcall -%}
{% endmacro %}


{% macro commit() %}
  {%- do adapter.dispatch('commit', 'dbt_rfm')() -%}
{% endmacro %}


{% macro default__commit() %}
  {%- do adapter.commit() -%}
{% endmacro %}


{# With `autocommit: true` in the profile, dbt-postgres may leave its own commit out. #}
{% macro postgres__commit() %}
  {%- call statement('rfm_commit') -%}commit{%- endcall -%}
  {%- do adapter.commit() -%}
{% endmacro %}


{% macro duckdb__commit() %}
  {%- if not adapter.disable_transactions() -%}{%- do adapter.commit() -%}{%- endif -%}
{% endmacro %}


{# Runs statements that change something, and commits them. #}
{% macro run_committed(sql) %}
  {%- do adapter.dispatch('run_committed', 'dbt_rfm')(sql) -%}
{% endmacro %}


{% macro default__run_committed(sql) %}
  {%- call statement('rfm_committed', auto_begin=false) -%}{{ sql }}; commit;{%- endcall -%}
{% endmacro %}


{% macro snowflake__run_committed(sql) %}
  {%- call statement('rfm_committed', auto_begin=false) -%}{{ sql }};{%- endcall -%}
{% endmacro %}


{# Rows of a query as of now, with no transaction left open. #}
{% macro run_fresh(sql) %}
  {%- do return(adapter.dispatch('run_fresh', 'dbt_rfm')(sql)) -%}
{% endmacro %}


{% macro default__run_fresh(sql) %}
  {%- do return(run_query('commit; ' ~ sql)) -%}
{% endmacro %}


{% macro snowflake__run_fresh(sql) %}
  {%- do return(run_query(sql)) -%}
{% endmacro %}


{# Lets the warehouse wait, since Jinja cannot. #}
{% macro wait_seconds(seconds) %}
  {%- do adapter.dispatch('wait_seconds', 'dbt_rfm')(seconds) -%}
{% endmacro %}


{% macro default__wait_seconds(seconds) %}
  {%- do dbt_rfm.run_fresh('select pg_sleep(' ~ seconds ~ ')') -%}
{% endmacro %}


{# The var is for servers that stand in for Snowflake in tests and have no system$wait. #}
{% macro snowflake__wait_seconds(seconds) %}
  {%- do run_query(dbt_rfm.own_var('dbt_rfm_wait_sql', 'call system$wait({s})') | replace('{s}', seconds | string)) -%}
{% endmacro %}
