{#
  Serves an older version of a prediction again:
      dbt run-operation rfm_rollback --args '{model: customer_churn_30d}'                 the one served before
      dbt run-operation rfm_rollback --args '{model: customer_churn_30d, version: 3}'

  dbt_rfm/versions/history.py does the same for the command line; an operation cannot call Python. The served table keeps its
  types and comments where its columns stay the same. One transaction: readers see the old version or the new one.
#}
{% macro rfm_rollback(model=none, version=none) %}
  {%- if not model -%}
    {%- do dbt_rfm.raise_error('rfm_rollback needs the name of a prediction', "Write --args '{model: customer_churn_30d}'.") -%}
  {%- endif -%}
  {%- set target = dbt_rfm.published_relation(model) -%}
  {%- set chosen = dbt_rfm.rollback_version(target, version) -%}
  {%- do dbt_rfm.require_rows_of_version(target, chosen) -%}
  {{ dbt_rfm.begin() }}
  {%- do dbt_rfm.serve_version(target, chosen, dbt_rfm.version_columns(target, chosen), typed=false) -%}
  {{ dbt_rfm.commit() }}
  {%- do log(target.identifier ~ ' serves version ' ~ chosen ~ ' again', info=true) -%}
{% endmacro %}


{# Refuses a version whose rows somebody has deleted: serving it would empty the table. #}
{% macro require_rows_of_version(target, version) %}
  {%- set history = dbt_rfm.beside(target, target.identifier ~ '__history') -%}
  {%- if dbt_rfm.relation_kind(history) is none -%}
    {%- do dbt_rfm.raise_error('the history of ' ~ target.identifier ~ ' is gone: there is nothing to go back to', 'Build the model anew: dbt build.') -%}
  {%- endif -%}
  {%- set sql -%}
    select 1 from {{ dbt_rfm.beside(target, 'rfm_versions') }}
    where
        model_name = {{ dbt_rfm.model_name(target) }} and version = {{ version }} and num_rows > 0
        and not exists (select 1 from {{ history }} where model_version = {{ version }})
  {%- endset -%}
  {%- if run_query(sql).rows | length -%}
    {%- do dbt_rfm.raise_error('the rows of ' ~ target.identifier ~ ' version ' ~ version ~ ' are gone from ' ~ history.identifier, 'Name another one with version.') -%}
  {%- endif -%}
{% endmacro %}


{# The version asked for, or the newest retired one before the one that is serving. #}
{% macro rollback_version(target, version) %}
  {%- set registry = dbt_rfm.beside(target, 'rfm_versions') -%}
  {%- set known = [] -%}
  {%- if dbt_rfm.relation_kind(registry) is not none -%}
    {%- set sql = 'select version, status from ' ~ registry ~ ' where model_name = ' ~ dbt_rfm.model_name(target) ~ ' order by version desc' -%}
    {%- for row in run_query(sql).rows -%}
      {%- do known.append({'version': row[0] | int, 'status': row[1]}) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if not known -%}
    {%- do dbt_rfm.raise_error('no version of ' ~ target.identifier ~ ' was ever published', 'dbt run-operation rfm_versions lists what is there.') -%}
  {%- endif -%}
  {%- if version is not none -%}
    {%- set found = known | selectattr('version', 'equalto', version | int) | list -%}
    {%- if not found -%}
      {%- do dbt_rfm.raise_error(target.identifier ~ ' has no version ' ~ version, 'Versions: ' ~ known | map(attribute='version') | join(', ') ~ '.') -%}
    {%- endif -%}
  {%- else -%}
    {%- set serving = known | selectattr('status', 'equalto', 'serving') | map(attribute='version') | max | default(0, true) -%}
    {%- set found = known | selectattr('status', 'equalto', 'retired') | selectattr('version', 'lt', serving) | list -%}
    {%- if not found -%}
      {%- set stated = [] -%}
      {%- for row in known -%}{%- do stated.append(row.version ~ ' (' ~ row.status ~ ')') -%}{%- endfor -%}
      {%- set lacks = 'has no retired version before ' ~ serving ~ ' to go back to' if serving else 'serves no version yet' -%}
      {%- do dbt_rfm.raise_error(target.identifier ~ ' ' ~ lacks, 'Name one with version: ' ~ stated | join(', ') ~ '.') -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(found[0].version) -%}
{% endmacro %}
