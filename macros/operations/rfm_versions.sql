{#
  Prints the versions of the project's predictions, newest first:
      dbt run-operation rfm_versions
      dbt run-operation rfm_versions --args '{model: customer_churn_30d}'
#}
{% macro rfm_versions(model=none) %}
  {%- set schemas = [] -%}
  {%- if model is not none -%}
    {%- do schemas.append(dbt_rfm.published_relation(model)) -%}
  {%- else -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' -%}
      {%- set schema = api.Relation.create(database=node.database, schema=node.schema) -%}
      {%- if schema | string not in schemas | map('string') -%}{%- do schemas.append(schema) -%}{%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {%- set lines = [] -%}
  {%- set seen = [] -%}
  {%- for schema in schemas -%}
    {%- set registry = dbt_rfm.beside(schema, 'rfm_versions') -%}
    {%- if registry | string not in seen and dbt_rfm.relation_kind(registry) is not none -%}
      {%- do seen.append(registry | string) -%}
      {%- do lines.extend(dbt_rfm.version_lines(registry, schema)) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if lines -%}
    {%- do lines.insert(0, ['prediction', 'version', 'status', 'as of', 'rows', 'backtest', 'baseline', 'created']) -%}
    {{ print(dbt_rfm.aligned(lines)) }}
  {%- else -%}
    {{ print('no versions' ~ (' of ' ~ model if model is not none else '') ~ ': nothing was published yet') }}
  {%- endif -%}
{% endmacro %}


{# One list of texts per version of a prediction, or of all in the registry where the relation is a schema. #}
{% macro version_lines(registry, relation) %}
  {%- set sql -%}
    select
        model_name, version, status, anchor_time, num_rows,
        backtest_metric, backtest_value, baseline_value, beats_baseline, created_at
    from {{ registry }}
    {%- if relation.identifier %} where model_name = {{ dbt_rfm.model_name(relation) }}{% endif %}
    order by model_name, version desc
  {%- endset -%}
  {%- set lines = [] -%}
  {%- for row in run_query(sql).rows -%}
    {%- set backtest = row[5] ~ ' ' ~ row[6] | float | round(4) if row[5] is not none else 'none' -%}
    {%- set baseline = row[7] | float | round(4) ~ ('' if row[8] else ' (not beaten)') if row[7] is not none else '' -%}
    {%- do lines.append([
        row[0], row[1] | int | string, row[2], row[3].strftime('%Y-%m-%d %H:%M'), row[4] | int | string,
        backtest, baseline, row[9].strftime('%Y-%m-%d %H:%M'),
    ]) -%}
  {%- endfor -%}
  {%- do return(lines) -%}
{% endmacro %}


{# Lines of texts as one text with the columns under each other. #}
{% macro aligned(lines) %}
  {%- set widths = [] -%}
  {%- for column in range(lines[0] | length) -%}
    {%- do widths.append(lines | map(attribute=column) | map('length') | max) -%}
  {%- endfor -%}
  {%- set texts = [] -%}
  {%- for line in lines -%}
    {%- set cells = [] -%}
    {%- for cell in line -%}{%- do cells.append(cell.ljust(widths[loop.index0])) -%}{%- endfor -%}
    {%- do texts.append((cells | join('  ')).rstrip()) -%}
  {%- endfor -%}
  {%- do return(texts | join('\n')) -%}
{% endmacro %}
