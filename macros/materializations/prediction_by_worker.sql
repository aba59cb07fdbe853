{#
  A prediction on every warehouse but DuckDB: the query answered by a `dbt-rfm worker`, with the warehouse between us.

  The worker writes a new version into history and registry; this block then makes the served table from it, so only
  dbt's role needs rights on it. Whatever fails, or whoever dies, before that leaves the last good table as it was.
#}
{% materialization prediction, default, supported_languages=['sql'] %}
  {%- do dbt_rfm.require_worker_adapter() -%}
  {%- do dbt_rfm.require_usable_name(this) -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set grant_config = config.get('grants') -%}
  {%- set job = dbt_rfm.prediction_job(model, compiled_code) -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {#- The worker has to see what they do, so these are committed before it begins. -#}
  {{ dbt_rfm.begin() }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {{ dbt_rfm.commit() }}

  {%- set outcome = dbt_rfm.answer_by_worker(job) -%}
  {%- if outcome.status == 'failed' -%}
    {%- do dbt_rfm.raise_failure(outcome.message) -%}
  {%- endif -%}
  {%- set state = dbt_rfm.plain_name(target_relation.identifier) ~ ' version ' ~ outcome.version -%}
  {%- set newer = dbt_rfm.newer_version(target_relation, outcome.version | int) if outcome.status == 'ready' else none -%}

  {{ dbt_rfm.begin() }}
  {%- if outcome.status == 'ready' and not newer -%}
    {%- do dbt_rfm.serve_version(target_relation, outcome.version | int, dbt_rfm.served_columns(target_relation, outcome.version | int, model)) -%}
  {%- elif outcome.status == 'empty' -%}
    {%- set empty = dbt_rfm.beside(this, this.identifier ~ '__empty') -%}
    {%- do dbt_rfm.serve_rows(target_relation, 'select * from ' ~ empty, '', typed=true) -%}
  {%- else -%}
    {%- call statement('main') -%}select 'nothing is served anew'{%- endcall -%}
  {%- endif -%}

  {%- if newer -%}
    {%- do log(state ~ ' is not served: version ' ~ newer ~ ' of another run is newer and serves already', info=true) -%}
  {%- else -%}
    {%- do log(outcome.message | replace(state ~ ' ready', state ~ ' serving', 1), info=true) -%}
  {%- endif -%}

  {#- A first version that is held back serves nothing. -#}
  {%- set served = outcome.status != 'held' or existing is not none -%}
  {{ dbt_rfm.finish_prediction(target_relation, existing, served, grant_config, post_hooks) }}

  {{ return({'relations': [target_relation] if served else []}) }}
{% endmaterialization %}


{# A newer version that serves: where two runs build the same prediction, the slower one must not take it back. #}
{% macro newer_version(target, version) %}
  {%- set sql -%}
    select max(version) from {{ dbt_rfm.beside(target, 'rfm_versions') }}
    where model_name = {{ dbt_rfm.model_name(target) }} and status = 'serving' and version > {{ version }}
  {%- endset -%}
  {%- do return(dbt_rfm.run_fresh(sql).rows[0][0]) -%}
{% endmacro %}


{# Adapters whose warehouse a worker can open. #}
{% macro require_worker_adapter() %}
  {%- if target.type not in ['postgres', 'snowflake'] -%}
    {%- do dbt_rfm.raise_error('predictions run on DuckDB, Postgres and Snowflake, and this target is ' ~ target.type, 'Build this model on a target of one of these types.') -%}
  {%- endif -%}
{% endmacro %}


{# Refuses a name under which a worker would not find, or keep, what belongs to the prediction, before a job is left. #}
{% macro require_usable_name(target) %}
  {%- do adapter.dispatch('require_usable_name', 'dbt_rfm')(target) -%}
{% endmacro %}


{% macro default__require_usable_name(target) %}
{% endmacro %}


{# Postgres cuts a name that is too long: the history would not be found again, or be another prediction's. #}
{% macro postgres__require_usable_name(target) %}
  {%- set room = target.relation_max_name_length() - '__history' | length -%}
  {%- if target.identifier.encode('utf-8') | length > room -%}
    {%- do dbt_rfm.raise_error(target.identifier ~ ' is too long a name: that of its history, ' ~ target.identifier ~ '__history, is longer than Postgres takes', 'Give it a name or an alias of at most ' ~ room ~ ' characters.') -%}
  {%- endif -%}
{% endmacro %}


{# The worker has the names as they are without quotes. #}
{% macro snowflake__require_usable_name(target) %}
  {%- set quoted = target.quote_policy -%}
  {%- if quoted.identifier or quoted.schema -%}
    {%- do dbt_rfm.raise_error('this project quotes the names of tables or schemas, and a prediction needs those that Snowflake finds without quotes', 'Set identifier and schema to false under quoting: in dbt_project.yml; sources may say otherwise.') -%}
  {%- endif -%}
  {%- for name in [target.schema, dbt_rfm.rfm_schema(target.schema), target.identifier] if not modules.re.match('[A-Za-z_][A-Za-z0-9_$]*$', name) -%}
    {%- do dbt_rfm.raise_error(name ~ ' needs quotes in Snowflake, and a prediction has to be found without', 'Use letters, digits and underscores for its alias, its schema and the var dbt_rfm_schema.') -%}
  {%- endfor -%}
{% endmacro %}
