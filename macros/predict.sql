{#
  The body of a prediction model: the query under a header that says which relation each alias stands for.

      -- rfm_table: customers -> "shop"."main"."customers"
      -- rfm_query:
      PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id

  ref() and source() are called here, so the model depends on every table of the graph, and the header holds what dbt
  rendered: --defer, --empty, --sample and model versions are in it already. The materialization reads it back.
#}
{% macro predict(query, tables=none, labels=none) -%}
  {%- if query is not string -%}
    {%- do dbt_rfm.raise_error('predict() takes a query as its first argument, got ' ~ query, 'Write {{ dbt_rfm.predict("PREDICT … FOR EACH …") }}.') -%}
  {%- endif -%}
  {%- if execute -%}{%- do dbt_rfm.require_prediction() -%}{%- endif -%}
  {%- set relations = dbt_rfm.query_tables(query, tables, labels) -%}
  {%- for alias, relation in relations.items() %}
-- rfm_table: {{ alias }} -> {{ dbt_rfm.on_one_line(relation) }}
  {%- endfor %}
  {%- if labels is not none %}
-- rfm_labels: {{ dbt_rfm.on_one_line(dbt_rfm.table_relation(labels)) }}
  {%- endif %}
-- rfm_query:
{{ query }}
{%- endmacro %}


{# A query is no SQL: what would run it as such says where it stands instead of what the warehouse stumbles over. #}
{% macro require_prediction() %}
  {%- if model is not defined or model.resource_type not in ['model', 'unit_test'] -%}{%- do return(none) -%}{%- endif -%}
  {%- if model.resource_type == 'unit_test' -%}
    {%- set tested = model.tested_node_unique_id.split('.')[2] -%}
    {%- do dbt_rfm.raise_error('a unit test runs SQL, and ' ~ tested ~ ' holds a predictive query', 'Test what reads ' ~ tested ~ ', with rows of it as an input.') -%}
  {%- endif -%}
  {%- if model.config.materialized != 'prediction' -%}
    {%- do dbt_rfm.raise_error(model.name ~ ' holds a predictive query and is materialized as ' ~ model.config.materialized, "Write {{ config(materialized='prediction') }} above it.") -%}
  {%- elif flags.WHICH == 'show' -%}
    {%- do dbt_rfm.raise_error('dbt show runs SQL, and ' ~ model.name ~ ' holds a predictive query', 'dbt-rfm predict answers it without publishing; dbt show --inline "select * from {{ ref(\'' ~ model.name ~ '\') }}" shows what is served.') -%}
  {%- endif -%}
{% endmacro %}


{# alias -> relation: the graph of the project, the tables given, the tables the query names. #}
{% macro query_tables(query, tables=none, labels=none) %}
  {%- set found = {} -%}
  {%- set taken = {'labels': labels} if labels is not none else {} -%}
  {%- do dbt_rfm.add_tables(found, taken, dbt_rfm.own_var('dbt_rfm_graph', []), 'var dbt_rfm_graph') -%}
  {%- do dbt_rfm.add_tables(found, taken, tables, 'tables=') -%}
  {%- for name in dbt_rfm.query_names(query) if name | lower not in taken -%}
    {%- do dbt_rfm.add_tables(found, taken, [name], 'the query') -%}
  {%- endfor -%}
  {%- do return(found) -%}
{% endmacro %}


{# Adds `given`, a list of names or a mapping alias -> name or relation; the same alias for two tables is an error. #}
{% macro add_tables(found, taken, given, where) %}
  {%- if given is none -%}{%- do return(none) -%}{%- endif -%}
  {%- set pairs = [] -%}
  {%- if given is mapping -%}
    {%- for alias, table in given.items() -%}{%- do pairs.append((alias | string, table)) -%}{%- endfor -%}
  {%- elif given is string or given is not sequence or given is callable -%}
    {%- do dbt_rfm.raise_error(where ~ ': expected a list of names or a mapping alias: table, got ' ~ given, "Write tables={'orders': ref('stg_orders')} or tables=['orders'].") -%}
  {%- else -%}
    {%- for name in given -%}
      {%- if name is not string -%}
        {%- do dbt_rfm.raise_error(where ~ ': a list holds names, got ' ~ name, "Write a mapping to give a relation a name: tables={'orders': ref('stg_orders')}.") -%}
      {%- endif -%}
      {%- do pairs.append((name.split('.') | join('_') if dbt_rfm.is_version(name) else name.split('.') | last, name)) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- for alias, table in pairs -%}
    {%- set relation = dbt_rfm.table_relation(table) -%}
    {%- set key = alias | lower -%}
    {%- if not modules.re.match('[\\w][\\w $-]*$', alias) -%}
      {%- do dbt_rfm.raise_error(where ~ ': ' ~ alias ~ ' is no name for a table', 'Use letters, digits and underscores.') -%}
    {%- elif key in taken and taken[key] | string != relation | string -%}
      {%- do dbt_rfm.raise_error(where ~ ': two tables have the alias ' ~ alias ~ ', ' ~ taken[key] ~ ' and ' ~ relation, "Give one of them another name, as in tables={'" ~ alias ~ "_2': …}.") -%}
    {%- elif key not in taken -%}
      {%- do found.update({alias: relation}) -%}
      {%- do taken.update({key: relation}) -%}
    {%- endif -%}
  {%- endfor -%}
{% endmacro %}


{# A relation as it is; 'orders' is ref('orders'), 'shop.orders' source('shop', 'orders'), 'orders.v1' ref('orders', v=1). #}
{% macro table_relation(table) %}
  {%- if table is not string -%}{%- do return(table) -%}{%- endif -%}
  {%- set parts = table.split('.') -%}
  {%- if dbt_rfm.is_version(table) -%}{%- do return(ref(parts[0], v=parts[1][1:])) -%}{%- endif -%}
  {%- do return(source(parts[0], parts[1]) if parts | length == 2 else ref(table)) -%}
{% endmacro %}


{# Whether a name is that of a version of a model, such as 'orders.v1'; its alias is orders_v1. #}
{% macro is_version(name) %}
  {%- do return(modules.re.match('[^.]+[.]v[0-9]+$', name) is not none) -%}
{% endmacro %}


{# Tables a query names (`x` in x.y and x.*), in order; texts and comments are not looked into. With a quote left open
   nothing can be told apart: the parser will say so. #}
{% macro query_names(query) %}
  {%- set bare = modules.re.sub("(?s)'(?:[^']|'')*'|--[^\\n]*|#[^\\n]*|/\\*.*?\\*/", ' ', query) -%}
  {%- if "'" in bare -%}{%- do return([]) -%}{%- endif -%}
  {%- set names = [] -%}
  {%- for name in modules.re.findall('(?<![\\w.`])(`[^`]+`|[A-Za-z_]\\w*)\\s*\\.\\s*(?:\\*|\\(|`[^`]+`|[A-Za-z_])', bare) -%}
    {%- set name = name | replace('`', '') -%}
    {%- if name not in names -%}{%- do names.append(name) -%}{%- endif -%}
  {%- endfor -%}
  {%- do return(names) -%}
{% endmacro %}


{% macro on_one_line(relation) %}
  {%- do return((relation | string).split() | join(' ')) -%}
{% endmacro %}
