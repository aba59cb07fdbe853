{#
  Serves an older version of a prediction again:
      dbt run-operation rfm_rollback --args '{model: customer_churn_30d}'                 the one served before
      dbt run-operation rfm_rollback --args '{model: customer_churn_30d, version: 3}'

  dbt_rfm/versions.py does the same for the command line; an operation cannot call Python. The served table keeps its
  types and comments where its columns stay the same. One transaction: readers see the old version or the new one.
#}
{% macro rfm_rollback(model, version=none) %}
  {%- set target = dbt_rfm.published_relation(model) -%}
  {%- set registry = dbt_rfm.beside(target, 'rfm_versions') -%}
  {%- set history = dbt_rfm.beside(target, target.identifier ~ '__history') -%}
  {%- set chosen = dbt_rfm.rollback_version(target, registry, version) -%}
  {%- if dbt_rfm.relation_kind(history) is none -%}
    {%- do dbt_rfm.raise_error('the history of ' ~ target.identifier ~ ' is gone: there is nothing to go back to') -%}
  {%- endif -%}
  {%- set columns = dbt_rfm.version_columns(history, chosen.kind) -%}
  {%- set ours = 'model_name = ' ~ dbt_rfm.text(target.identifier) -%}
  {%- set sql -%}
    begin transaction;
    {{ dbt_rfm.serve_sql(target, history, columns, chosen.version) }}
    update {{ registry }} set status = 'retired' where {{ ours }} and status = 'serving';
    update {{ registry }} set status = 'serving', served_at = cast('{{ dbt_rfm.utc_now() }}' as timestamp)
    where {{ ours }} and version = {{ chosen.version }};
    commit;
  {%- endset -%}
  {%- do run_query(sql) -%}
  {%- do log(target.identifier ~ ' serves version ' ~ chosen.version ~ ' again', info=true) -%}
{% endmacro %}


{# {version, kind} of the version asked for, or of the newest retired one before the one that is serving. #}
{% macro rollback_version(target, registry, version) %}
  {%- set known = [] -%}
  {%- if dbt_rfm.relation_kind(registry) is not none -%}
    {%- set sql = 'select version, kind, status from ' ~ registry ~ ' where model_name = ' ~ dbt_rfm.text(target.identifier) ~ ' order by version desc' -%}
    {%- for row in run_query(sql).rows -%}
      {%- do known.append({'version': row[0] | int, 'kind': row[1], 'status': row[2]}) -%}
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
      {%- do dbt_rfm.raise_error(target.identifier ~ ' has no retired version before ' ~ serving ~ ' to go back to', 'Name one with version.') -%}
    {%- endif -%}
  {%- endif -%}
  {%- do return(found[0]) -%}
{% endmacro %}


{# Names of the columns a version of that kind was served with; the history may hold columns of other kinds too. #}
{% macro version_columns(history, kind) %}
  {%- set kinds = {
      'binary': ['probability', 'prediction'],
      'multiclass': ['class', 'probability', 'rank'],
      'regression': ['prediction', 'p10', 'p50', 'p90'],
      'link': ['score', 'rank'],
      'forecast': ['step', 'forecast_from', 'forecast_until', 'prediction', 'p10', 'p50', 'p90'],
  } -%}
  {%- set marks = ['model_version', 'run_id', 'predicted_at'] -%}
  {%- set names = [] -%}
  {%- for name in dbt_rfm.column_names(history) -%}
    {%- set own = name in kinds.get(kind, []) -%}
    {%- if name not in marks and (own or name not in kinds.values() | sum(start=[])) -%}
      {%- do names.append(name) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(names + marks) -%}
{% endmacro %}


{# Statements that make the served table hold a version's rows. #}
{% macro serve_sql(target, history, columns, version) %}
  {%- set kind = dbt_rfm.relation_kind(target) -%}
  {%- set quoted = [] -%}
  {%- for name in columns -%}{%- do quoted.append(adapter.quote(name)) -%}{%- endfor -%}
  {%- set names = quoted | join(', ') -%}
  {%- set rows = 'select ' ~ names ~ ' from ' ~ history ~ ' where model_version = ' ~ version -%}
  {%- set served = dbt_rfm.column_names(target) | map('lower') | sort if kind == 'BASE TABLE' else [] -%}
  {%- if served == columns | map('lower') | sort -%}
    {%- do return('delete from ' ~ target ~ '; insert into ' ~ target ~ ' (' ~ names ~ ') ' ~ rows ~ ';') -%}
  {%- endif -%}
  {%- set drop = 'drop view ' ~ target ~ '; ' if kind == 'VIEW' else '' -%}
  {%- do return(drop ~ 'create or replace table ' ~ target ~ ' as ' ~ rows ~ ';') -%}
{% endmacro %}
