{#
  What dbt_rfm/versions.py keeps of a prediction, for the operations and tests that read it without Python:
  <name>__history, rfm_versions and rfm_metrics in the prediction's schema, or in that of the var dbt_rfm_schema.
#}

{# The schema of what is kept of predictions in `schema`: the var dbt_rfm_schema, by default the same. #}
{% macro rfm_schema(schema) %}
  {%- do return(var('dbt_rfm_schema', none) or schema) -%}
{% endmacro %}


{# A table of what is kept of the prediction `relation`. #}
{% macro beside(relation, identifier) %}
  {%- do return(api.Relation.create(database=relation.database, schema=dbt_rfm.rfm_schema(relation.schema), identifier=identifier, type='table')) -%}
{% endmacro %}


{# 'BASE TABLE', 'VIEW', … or none: asked of the warehouse, since dbt's cache does not know what Python created. #}
{% macro relation_kind(relation) %}
  {%- set found = run_query(
      'select table_type from information_schema.tables where lower(table_catalog) = lower(' ~ dbt_rfm.text(relation.database)
      ~ ') and lower(table_schema) = lower(' ~ dbt_rfm.text(relation.schema)
      ~ ') and lower(table_name) = lower(' ~ dbt_rfm.text(relation.identifier) ~ ')'
  ) -%}
  {%- do return(found.rows[0][0] if found.rows | length else none) -%}
{% endmacro %}


{# Names of a relation's columns, without opening dbt's transaction as adapter.get_columns_in_relation would. #}
{% macro column_names(relation) %}
  {%- set names = [] -%}
  {%- for row in run_query('describe ' ~ relation).rows -%}{%- do names.append(row[0]) -%}{%- endfor -%}
  {%- do return(names) -%}
{% endmacro %}


{# A text as an SQL literal. #}
{% macro text(value) %}
  {%- do return(dbt.string_literal(dbt.escape_single_quotes(value | string))) -%}
{% endmacro %}


{# The time now, in UTC and without a zone, as the registry keeps times. #}
{% macro utc_now() %}
  {%- do return(modules.datetime.datetime.now(modules.pytz.utc).replace(tzinfo=none)) -%}
{% endmacro %}


{# The relation of a model of this project by its name (or, for a versioned model, its alias: churn_v2). #}
{% macro published_relation(name) %}
  {%- set by_alias, by_name, predictions = [], [], [] -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'model' -%}
    {%- if node.alias == name -%}{%- do by_alias.append(node) -%}{%- endif -%}
    {%- if node.name == name -%}{%- do by_name.append(node) -%}{%- endif -%}
    {%- if node.config.materialized == 'prediction' -%}{%- do predictions.append(node.alias) -%}{%- endif -%}
  {%- endfor -%}
  {%- set found = by_alias or by_name -%}
  {%- if not found -%}
    {%- do dbt_rfm.raise_error('no model is named ' ~ name, 'Predictions of this project: ' ~ (predictions | sort | join(', ') or 'none') ~ '.') -%}
  {%- elif found | length > 1 -%}
    {%- do dbt_rfm.raise_error(name ~ ' names several models', 'Say which: ' ~ (found | map(attribute='alias') | sort | join(', ')) ~ '.') -%}
  {%- endif -%}
  {%- do return(api.Relation.create(database=found[0].database, schema=found[0].schema, identifier=found[0].alias, type='table')) -%}
{% endmacro %}
