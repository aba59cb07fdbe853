{#
  Cancels the jobs that this invocation of dbt still waits for:
      on-run-end: "{{ dbt_rfm.rfm_cancel_jobs() }}"                       in dbt_project.yml, for dbt build --fail-fast
  or every open job of the project's predictions:
      dbt run-operation rfm_cancel_jobs --args '{everything: true}'

  A worker sees it within a heartbeat and writes nothing more for them. Without it a job ends by itself once dbt has not
  asked for it for five minutes.
#}
{% macro rfm_cancel_jobs(everything=false) %}
  {#- A hook runs what is returned: the text of nothing is no statement. -#}
  {%- if not execute or target.type not in ['postgres', 'snowflake'] -%}{%- do return('') -%}{%- endif -%}
  {%- set prefix = invocation_id ~ '.' -%}
  {%- set which = '1 = 1' if everything else 'substring(job_id, 1, ' ~ prefix | length ~ ') = ' ~ dbt_rfm.text(prefix) -%}
  {%- set seen = [] -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'prediction' -%}
    {%- set jobs = dbt_rfm.beside(api.Relation.create(database=node.database, schema=node.schema), 'rfm_jobs') -%}
    {%- if jobs | string not in seen and dbt_rfm.relation_kind(jobs) is not none -%}
      {%- do seen.append(jobs | string) -%}
      {%- do dbt_rfm.cancel_jobs(jobs, which, 'dbt ended before the job did' if not everything else 'cancelled by rfm_cancel_jobs') -%}
    {%- endif -%}
  {%- endfor -%}
{% endmacro %}
