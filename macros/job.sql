{#
  The job: a prediction model as dbt knows it, as one plain mapping (dbt_rfm/job.py names every field).

  It says what is there and concludes nothing; keys, links and times are worked out in Python. `compiled` is the model's
  compiled code, the header that predict() wrote and the query under it.
#}
{% macro prediction_job(model, compiled) %}
  {%- do dbt_rfm.require_own_history(model) -%}
  {%- set nodes = dbt_rfm.nodes_by_relation(model) -%}
  {%- set parts = dbt_rfm.split_prediction(compiled) -%}
  {%- set tables = [] -%}
  {%- for alias, relation in parts.tables -%}
    {%- do tables.append(dbt_rfm.job_table(alias, relation, nodes.get(relation, {}))) -%}
  {%- endfor -%}
  {%- set options = (model.config.meta or {}).get('rfm') or {} -%}
  {%- if options is not mapping -%}
    {%- do dbt_rfm.raise_error('meta.rfm: expected a mapping of options, got ' ~ options, "Write meta={'rfm': {'context_size': 2000}}.") -%}
  {%- endif -%}
  {%- do return({
      'version': 1,
      'query': parts.query,
      'tables': tables,
      'tests': dbt_rfm.job_tests(tables | map(attribute='unique_id') | list),
      'unique_id': model.unique_id,
      'name': model.name,
      'options': dbt_rfm.jsonable(options),
      'target': {
          'database': dbt_rfm.plain_name(this.database),
          'schema': dbt_rfm.plain_name(this.schema),
          'identifier': dbt_rfm.plain_name(this.identifier),
      },
      'labels': parts.labels,
      'contract': dbt_rfm.job_contract(model),
      'invocation_id': invocation_id,
      'package_version': dbt_rfm.package_version(),
      'target_path': dbt_rfm.target_path(model),
      'empty': invocation_args_dict.get('empty', false),
      'full_refresh': should_full_refresh(),
      'rfm_schema': dbt_rfm.plain_name(dbt_rfm.rfm_schema(this.schema)),
  }) -%}
{% endmacro %}


{# In the schema of the var dbt_rfm_schema, history and versions go by the name of the prediction alone. #}
{% macro require_own_history(model) %}
  {%- if not dbt_rfm.own_var('dbt_rfm_schema') -%}{%- do return(none) -%}{%- endif -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'prediction' -%}
    {%- if node.unique_id != model.unique_id and node.database == model.database and node.alias | lower == model.alias | lower -%}
      {%- do dbt_rfm.raise_error(node.schema ~ ' and ' ~ model.schema ~ ' both have a prediction ' ~ model.alias ~ ', and with the var dbt_rfm_schema they would share history and versions', 'Give one of them another name or alias.') -%}
    {%- endif -%}
  {%- endfor -%}
{% endmacro %}


{# A part of the prediction's name as Python spells it. #}
{% macro plain_name(name) %}
  {%- do return(adapter.dispatch('plain_name', 'dbt_rfm')(name)) -%}
{% endmacro %}


{% macro default__plain_name(name) %}
  {%- do return(name) -%}
{% endmacro %}


{# Without quotes Snowflake makes no difference of case, and Python shows its upper case in lower case
   (dbt_rfm/warehouse/snowflake_sql.py). #}
{% macro snowflake__plain_name(name) %}
  {%- do return(name | lower) -%}
{% endmacro %}


{# The target folder: compiled_path starts with it, and dbt may have been started outside the project's folder. #}
{% macro target_path(model) %}
  {%- set path = modules.re.split('[\\\\/]compiled[\\\\/]', model.get('compiled_path') or 'target/compiled/')[0] -%}
  {%- set folder = invocation_args_dict.get('project_dir') -%}
  {%- do return(path if modules.re.match('([A-Za-z]:)?[\\\\/]', path) or not folder else folder ~ '/' ~ path) -%}
{% endmacro %}


{# The header and the query of a compiled prediction model. #}
{% macro split_prediction(compiled) %}
  {%- set halves = compiled.split('-- rfm_query:\n', 1) -%}
  {%- set header = modules.re.findall('(?m)^-- rfm_table: (.+?) -> (.+)$', halves[0]) -%}
  {%- set labels = modules.re.findall('(?m)^-- rfm_labels: (.+)$', halves[0]) -%}
  {%- set rest = modules.re.sub('(?m)^\\s*--.*$', '', halves[0]) | trim -%}
  {%- if halves | length < 2 or rest -%}
    {%- do dbt_rfm.raise_error('a prediction model holds one predict() call and nothing before it' ~ (', got ' ~ rest[:80] if rest else ''), 'Write {{ dbt_rfm.predict("PREDICT … FOR EACH …") }}.') -%}
  {%- endif -%}
  {%- do return({'tables': header, 'labels': labels | first if labels else none, 'query': halves[1] | trim}) -%}
{% endmacro %}


{# relation as dbt renders it now -> the node behind it, for everything the model depends on. #}
{% macro nodes_by_relation(model) %}
  {%- set nodes = {} -%}
  {%- for unique_id in model.depends_on.nodes -%}
    {%- set node = graph.nodes.get(unique_id) or graph.sources.get(unique_id) -%}
    {%- if node.resource_type == 'source' -%}
      {%- set relation = source(node.source_name, node.name) -%}
    {%- elif node.config.materialized == 'ephemeral' -%}
      {%- do dbt_rfm.raise_error(node.name ~ ' is ephemeral, and a prediction reads tables and views only', 'Set materialized to view or table for ' ~ node.name ~ '.') -%}
    {%- else -%}
      {%- set relation = ref(node.package_name, node.name, v=node.get('version')) -%}
    {%- endif -%}
    {%- do nodes.update({dbt_rfm.on_one_line(relation): node}) -%}
  {%- endfor -%}
  {%- do return(nodes) -%}
{% endmacro %}


{% macro job_table(alias, relation, node) %}
  {%- set config = node.get('config') or {} -%}
  {%- set columns = {} -%}
  {%- for name, column in (node.get('columns') or {}).items() -%}
    {%- set meta = dict(column.get('meta') or {}) -%}
    {%- do meta.update((column.get('config') or {}).get('meta') or {}) -%}
    {%- do columns.update({name: {
        'name': name,
        'data_type': column.get('data_type'),
        'constraints': dbt_rfm.jsonable(column.get('constraints') or []),
        'meta': dbt_rfm.jsonable(meta),
    }}) -%}
  {%- endfor -%}
  {%- do return({
      'alias': alias,
      'relation': relation,
      'unique_id': node.get('unique_id') or '',
      'resource_type': node.get('resource_type') or 'model',
      'columns': columns,
      'primary_key': dbt_rfm.jsonable(node.get('primary_key') or []),
      'constraints': dbt_rfm.jsonable(node.get('constraints') or []),
      'meta': dbt_rfm.jsonable(config.get('meta') or node.get('meta') or {}),
      'event_time': config.get('event_time'),
      'snapshot_columns': dbt_rfm.snapshot_columns(node),
  }) -%}
{% endmacro %}


{# dbt's own columns of a snapshot under the names the project gave them; empty for everything else. #}
{% macro snapshot_columns(node) %}
  {%- set names = {} -%}
  {%- if node.get('resource_type') == 'snapshot' -%}
    {%- set given = (node.get('config') or {}).get('snapshot_meta_column_names') or {} -%}
    {%- for name in ['dbt_valid_from', 'dbt_valid_to', 'dbt_scd_id', 'dbt_updated_at', 'dbt_is_deleted'] -%}
      {%- do names.update({name: given.get(name) or name}) -%}
    {%- endfor -%}
  {%- endif -%}
  {%- do return(names) -%}
{% endmacro %}


{# Generic tests on the tables, also those that lead out of the graph; what tests a prediction says nothing of its inputs. #}
{% macro job_tests(unique_ids) %}
  {%- set tests = [] -%}
  {%- for node in graph.nodes.values() if node.resource_type == 'test' and node.get('test_metadata') -%}
    {%- set depends_on = node.depends_on.nodes -%}
    {%- set foreign = [] -%}
    {%- for unique_id in depends_on if unique_id not in unique_ids -%}
      {%- if (graph.nodes.get(unique_id) or {}).get('config', {}).get('materialized') == 'prediction' -%}
        {%- do foreign.append(unique_id) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- if depends_on | select('in', unique_ids) | list and not foreign -%}
      {%- set kwargs = dict(node.test_metadata.get('kwargs') or {}) -%}
      {%- do kwargs.update(kwargs.pop('arguments', none) or {}) -%}
      {%- do kwargs.pop('model', none) -%}
      {%- do tests.append({
          'name': node.test_metadata.name,
          'namespace': node.test_metadata.get('namespace'),
          'column': node.get('column_name') or kwargs.get('column_name'),
          'kwargs': dbt_rfm.jsonable(kwargs),
          'attached_node': node.get('attached_node'),
          'depends_on': depends_on,
          'where': node.config.get('where'),
          'severity': node.config.get('severity') | string,
      }) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- do return(tests) -%}
{% endmacro %}


{% macro job_contract(model) %}
  {%- set columns = [] -%}
  {%- for name, column in model.columns.items() -%}
    {%- do columns.append([name, column.get('data_type') or '']) -%}
  {%- endfor -%}
  {%- do return({'enforced': (model.config.get('contract') or {}).get('enforced', false), 'columns': columns}) -%}
{% endmacro %}


{# A value that JSON can hold: YAML gives dates, which become text. #}
{% macro jsonable(value) %}
  {%- if value is undefined or value is none -%}
    {%- do return(none) -%}
  {%- elif value is boolean or value is number or value is string -%}
    {%- do return(value) -%}
  {%- elif value is mapping -%}
    {%- set plain = {} -%}
    {%- for key, item in value.items() -%}{%- do plain.update({key | string: dbt_rfm.jsonable(item)}) -%}{%- endfor -%}
    {%- do return(plain) -%}
  {%- elif value is sequence -%}
    {%- set plain = [] -%}
    {%- for item in value -%}{%- do plain.append(dbt_rfm.jsonable(item)) -%}{%- endfor -%}
    {%- do return(plain) -%}
  {%- else -%}
    {%- do return(value | string) -%}
  {%- endif -%}
{% endmacro %}
