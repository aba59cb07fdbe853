{#
  What dbt_rfm/versions/ keeps of a prediction, for the operations and tests that read it without Python:
  <name>__history, rfm_versions and rfm_metrics in the prediction's schema, or in that of the var dbt_rfm_schema.
#}

{# The schema of what is kept of predictions in `schema`: the var dbt_rfm_schema, by default the same. #}
{% macro rfm_schema(schema) %}
  {%- do return(dbt_rfm.own_var('dbt_rfm_schema') or schema) -%}
{% endmacro %}


{# A var of ours, wherever the project has it: as dbt finds it, in the project's own scope, or under `dbt_rfm:`. dbt looks in
   the scope of what it renders, and that is the project's for a model and ours for an operation. #}
{% macro own_var(name, default=none) %}
  {%- for scope in [{name: var(name, none)}, var(project_name, none), var('dbt_rfm', none)] -%}
    {%- if scope is mapping and scope.get(name) is not none -%}{%- do return(scope[name]) -%}{%- endif -%}
  {%- endfor -%}
  {%- do return(default) -%}
{% endmacro %}


{# A table of what is kept of the prediction `relation`. #}
{% macro beside(relation, identifier) %}
  {%- do return(api.Relation.create(database=relation.database, schema=dbt_rfm.rfm_schema(relation.schema), identifier=identifier, type='table')) -%}
{% endmacro %}


{# 'BASE TABLE', 'VIEW', 'MATERIALIZED VIEW', … or none: asked of the warehouse, since dbt's cache does not know what Python
   created. #}
{% macro relation_kind(relation) %}
  {%- do return(adapter.dispatch('relation_kind', 'dbt_rfm')(relation)) -%}
{% endmacro %}


{% macro default__relation_kind(relation) %}
  {%- set found = run_query('select table_type from ' ~ dbt_rfm.information_schema(relation, 'tables') ~ ' where ' ~ dbt_rfm.is_relation(relation)) -%}
  {%- do return(found.rows[0][0] if found.rows | length else none) -%}
{% endmacro %}


{# Its information schema knows no materialized views, and no table that the role may not use. #}
{% macro postgres__relation_kind(relation) %}
  {%- set sql -%}
    select case c.relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' when 'f' then 'FOREIGN TABLE' else 'BASE TABLE' end
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    where
        c.relkind in ('r', 'p', 'v', 'm', 'f')
        and {{ dbt_rfm.is_stored_as('n.nspname', relation.schema, relation.quote_policy.schema) }}
        and {{ dbt_rfm.is_stored_as('c.relname', relation.identifier, relation.quote_policy.identifier) }}
  {%- endset -%}
  {%- set found = run_query(sql) -%}
  {%- do return(found.rows[0][0] if found.rows | length else none) -%}
{% endmacro %}


{# (name, type with its sizes) of each column in order, without opening dbt's transaction as
   adapter.get_columns_in_relation would. #}
{% macro column_types(relation) %}
  {%- set sql -%}
    select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale
    from {{ dbt_rfm.information_schema(relation, 'columns') }}
    where {{ dbt_rfm.is_relation(relation) }}
    order by ordinal_position
  {%- endset -%}
  {%- set columns = [] -%}
  {%- for row in run_query(sql).rows -%}
    {%- do columns.append((row[0], row[1:] | map('string') | join(' '))) -%}
  {%- endfor -%}
  {%- do return(columns) -%}
{% endmacro %}


{# Names of a relation's columns. #}
{% macro column_names(relation) %}
  {%- do return(dbt_rfm.column_types(relation) | map('first') | list) -%}
{% endmacro %}


{% macro information_schema(relation, view) %}
  {%- do return(adapter.dispatch('information_schema', 'dbt_rfm')(relation, view)) -%}
{% endmacro %}


{% macro default__information_schema(relation, view) %}
  {%- do return('information_schema.' ~ view) -%}
{% endmacro %}


{# There, each database has one of its own. #}
{% macro snowflake__information_schema(relation, view) %}
  {%- do return(relation.information_schema(view)) -%}
{% endmacro %}


{# The rows of an information schema that are about a relation. #}
{% macro is_relation(relation) %}
  {%- set conditions = [] -%}
  {%- set quoted = relation.quote_policy -%}
  {%- do conditions.append(dbt_rfm.is_stored_as('table_catalog', relation.database, quoted.database)) -%}
  {%- do conditions.append(dbt_rfm.is_stored_as('table_schema', relation.schema, quoted.schema)) -%}
  {%- do conditions.append(dbt_rfm.is_stored_as('table_name', relation.identifier, quoted.identifier)) -%}
  {%- do return(conditions | join(' and ')) -%}
{% endmacro %}


{# Whether a column of an information schema holds the name as the warehouse keeps it, written with quotes or without. #}
{% macro is_stored_as(column, name, quoted) %}
  {%- do return(adapter.dispatch('is_stored_as', 'dbt_rfm')(column, name, quoted)) -%}
{% endmacro %}


{# DuckDB keeps a name as it was written first, and finds it in any case. #}
{% macro default__is_stored_as(column, name, quoted) %}
  {%- do return('lower(' ~ column ~ ') = lower(' ~ dbt_rfm.text(name) ~ ')') -%}
{% endmacro %}


{% macro postgres__is_stored_as(column, name, quoted) %}
  {%- do return(column ~ ' = ' ~ dbt_rfm.text(name if quoted else name | lower)) -%}
{% endmacro %}


{% macro snowflake__is_stored_as(column, name, quoted) %}
  {%- do return(column ~ ' = ' ~ dbt_rfm.text(name if quoted else name | upper)) -%}
{% endmacro %}


{# A text as an SQL literal. Whatever is in it stays in it: dbt's own escaping leaves backslashes alone, which end a
   literal of Snowflake, or of Postgres with standard_conforming_strings off. #}
{% macro text(value) %}
  {%- do return(adapter.dispatch('text', 'dbt_rfm')(value | string)) -%}
{% endmacro %}


{% macro default__text(value) %}
  {%- do return("'" ~ value | replace("'", "''") ~ "'") -%}
{% endmacro %}


{% macro postgres__text(value) %}
  {%- do return("E'" ~ value | replace('\\', '\\\\') | replace("'", "''") ~ "'") -%}
{% endmacro %}


{% macro snowflake__text(value) %}
  {%- do return("'" ~ value | replace('\\', '\\\\') | replace("'", "''") ~ "'") -%}
{% endmacro %}


{# The name under which the registry keeps a prediction, as an SQL literal. #}
{% macro model_name(relation) %}
  {%- do return(dbt_rfm.text(dbt_rfm.plain_name(relation.identifier))) -%}
{% endmacro %}


{# A column as a project or we name it, in SQL: what has no capitals here is all capitals in Snowflake. #}
{% macro column(name) %}
  {%- do return(adapter.dispatch('column', 'dbt_rfm')(name)) -%}
{% endmacro %}


{% macro default__column(name) %}
  {%- do return(adapter.quote(name)) -%}
{% endmacro %}


{% macro snowflake__column(name) %}
  {%- do return(adapter.quote(name | upper if modules.re.match('[A-Za-z_][A-Za-z0-9_]*$', name) else name)) -%}
{% endmacro %}


{# The time now as SQL: by the warehouse's clock, in UTC and without a zone, as the registry keeps times. #}
{% macro utc_now() %}
  {%- do return(adapter.dispatch('utc_now', 'dbt_rfm')()) -%}
{% endmacro %}


{% macro default__utc_now() %}
  {%- do return("(current_timestamp at time zone 'utc')") -%}
{% endmacro %}


{% macro snowflake__utc_now() %}
  {%- do return("cast(convert_timezone('UTC', current_timestamp) as timestamp_ntz)") -%}
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
