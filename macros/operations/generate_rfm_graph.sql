{#
  Prints and returns the var dbt_rfm_graph for this project, as YAML for dbt_project.yml:
      dbt run-operation generate_rfm_graph
      dbt run-operation generate_rfm_graph --args '{models: [customers, orders]}'

  Listed is what a relationships test or a foreign key links. A table that only has a key is named in a comment: it may
  belong to the graph, and it may be a mart that already knows the future of its rows. Without any link, all tables with a
  key are listed, and links are inferred from names and values.
#}
{% macro generate_rfm_graph(models=none) %}
  {%- set tables = dbt_rfm.tables_with_keys_or_links() -%}
  {%- if models is not none -%}
    {%- set chosen = dbt_rfm.chosen_tables([models] if models is string else models) -%}
    {%- set rest = [] -%}
  {%- elif not tables -%}
    {%- do dbt_rfm.raise_error('no model, seed, snapshot or source carries a key or a link', 'Add unique, not_null and relationships tests, or name the tables: --args {models: [customers, orders]}.') -%}
  {%- else -%}
    {%- set linked = tables | selectattr('linked') | map(attribute='name') | list -%}
    {%- set chosen = linked or tables | map(attribute='name') | list -%}
    {%- set rest = tables | map(attribute='name') | reject('in', chosen) | list -%}
  {%- endif -%}
  {%- set yaml = dbt_rfm.graph_yaml(chosen | sort, rest | sort) -%}
  {{ print(yaml) }}
  {%- do return(yaml) -%}
{% endmacro %}


{# Tables a prediction can read, each {name, linked}, that carry a key or a link. #}
{% macro tables_with_keys_or_links() %}
  {%- set linked = dbt_rfm.linked_ids() -%}
  {%- set keyed = dbt_rfm.keyed_ids() -%}
  {%- set tables = [] -%}
  {%- for node in dbt_rfm.readable_nodes() -%}
    {%- set name = dbt_rfm.graph_name(node) -%}
    {%- if name not in tables | map(attribute='name') and (node.unique_id in linked or node.unique_id in keyed) -%}
      {%- do tables.append({'name': name, 'linked': node.unique_id in linked}) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(tables) -%}
{% endmacro %}


{# Models, seeds, snapshots and sources of the project that have rows of their own and are no prediction. #}
{% macro readable_nodes() %}
  {%- set found = [] -%}
  {%- for node in graph.nodes.values() | list + graph.sources.values() | list -%}
    {%- set materialized = node.config.get('materialized') -%}
    {%- if node.resource_type in ('model', 'seed', 'snapshot', 'source') and materialized not in ('ephemeral', 'prediction') and node.package_name != 'dbt_rfm' -%}
      {%- do found.append(node) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(found) -%}
{% endmacro %}


{# Both ends of every relationships test and foreign key. #}
{% macro linked_ids() %}
  {%- set found = [] -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'test' and (node.get('test_metadata') or {}).get('name') == 'relationships' -%}
    {%- do found.extend(node.depends_on.nodes) -%}
  {%- endfor -%}
  {%- for node in graph.nodes.values() if node.get('constraints') is not none -%}
    {%- for constraint in dbt_rfm.all_constraints(node) if constraint.type | string | lower == 'foreign_key' -%}
      {%- do found.append(node.unique_id) -%}
      {%- set names = modules.re.findall("['\"]([^'\"]+)['\"]", constraint.get('to') or '') -%}
      {%- for parent in node.depends_on.nodes if names and names[-1] in parent.split('.') -%}
        {%- do found.append(parent) -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- do return(found) -%}
{% endmacro %}


{# What has a primary key as dbt sees it, or a column with both a unique and a not_null test. #}
{% macro keyed_ids() %}
  {%- set found = [] -%}
  {%- set tested = {'unique': [], 'not_null': []} -%}
  {%- for node in graph.nodes.values() -%}
    {%- set name = (node.get('test_metadata') or {}).get('name') -%}
    {%- if name in tested -%}
      {%- do tested[name].append((node.depends_on.nodes | last, node.get('column_name'))) -%}
    {%- elif node.get('primary_key') -%}
      {%- do found.append(node.unique_id) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for on in tested['unique'] if on in tested['not_null'] -%}
    {%- do found.append(on[0]) -%}
  {%- endfor -%}
  {%- do return(found) -%}
{% endmacro %}


{% macro all_constraints(node) %}
  {%- set found = (node.get('constraints') or []) | list -%}
  {%- for column in (node.get('columns') or {}).values() -%}
    {%- do found.extend(column.get('constraints') or []) -%}
  {%- endfor -%}
  {%- do return(found) -%}
{% endmacro %}


{# How predict() is told of a table: a name for ref(), or source.table. #}
{% macro graph_name(node) %}
  {%- do return(node.source_name ~ '.' ~ node.name if node.resource_type == 'source' else node.name) -%}
{% endmacro %}


{# The names given, checked against the project. #}
{% macro chosen_tables(names) %}
  {%- set known = [] -%}
  {%- for node in dbt_rfm.readable_nodes() -%}{%- do known.append(dbt_rfm.graph_name(node)) -%}{%- endfor -%}
  {%- for name in names if name not in known -%}
    {%- do dbt_rfm.raise_error('models: the project has no model, seed, snapshot or source ' ~ name, 'Known: ' ~ known | sort | join(', ') ~ '.') -%}
  {%- endfor -%}
  {%- do return(names) -%}
{% endmacro %}


{# A list; a mapping of aliases where two tables would otherwise have the same one. Sources give way to models. #}
{% macro graph_yaml(names, rest) %}
  {%- set sources = [] -%}
  {%- for name in names if '.' in name -%}{%- do sources.append(name) -%}{%- endfor -%}
  {%- set aliases = {} -%}
  {%- set renamed = [] -%}
  {%- for name in names | reject('in', sources) | list + sources -%}
    {%- set short = name.split('.')[-1] -%}
    {%- if short in aliases -%}{%- do renamed.append(name) -%}{%- endif -%}
    {%- do aliases.update({(name | replace('.', '_') if short in aliases else short): name}) -%}
  {%- endfor -%}
  {%- set lines = ['vars:', '  dbt_rfm_graph:'] -%}
  {%- for alias, name in aliases.items() -%}
    {%- do lines.append('    ' ~ alias ~ ': ' ~ name if renamed else '    - ' ~ name) -%}
  {%- endfor -%}
  {%- if rest -%}
    {%- do lines.append('    # with a key but no link: ' ~ rest | join(', ')) -%}
  {%- endif -%}
  {%- do return(lines | join('\n')) -%}
{% endmacro %}
