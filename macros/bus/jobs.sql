{#
  rfm_jobs, the table through which dbt asks and a worker answers; dbt_rfm/worker/bus.py is the other side.

  dbt inserts a job, looks at it from time to time (polled_at says that somebody still waits) and cancels it. Everything
  else in the row is the worker's. Times are those of the warehouse, never those of a machine.
#}
{% macro queue_job(jobs, job_id, job) %}
  {%- do dbt_rfm.make_jobs_table(jobs) -%}
  {%- do dbt_rfm.warn_of_shared_history(jobs, job) -%}
  {%- set target = dbt_rfm.text(this) -%}
  {%- set older = 'target = ' ~ target ~ ' and job_id <> ' ~ dbt_rfm.text(job_id) -%}
  {%- do dbt_rfm.cancel_jobs(jobs, older, 'a newer run asks for the same prediction (' ~ job_id ~ ')') -%}
  {%- set sql -%}
    delete from {{ jobs }}
    where status in ('done', 'failed', 'cancelled') and updated_at < current_timestamp - interval '30 days';
    insert into {{ jobs }} (
        job_id, node_id, target, spec, package_version, status, attempt, polled_at, created_at, updated_at
    )
    select
        {{ dbt_rfm.text(job_id) }},
        {{ dbt_rfm.text(job.unique_id) }},
        {{ target }},
        {{ dbt_rfm.text(dbt_rfm.plain_json(job)) }},
        {{ dbt_rfm.text(job.package_version) }},
        'queued',
        0,
        current_timestamp,
        current_timestamp,
        current_timestamp
    from (select 1 as one) as one
    where not exists (select 1 from {{ jobs }} where job_id = {{ dbt_rfm.text(job_id) }})
  {%- endset -%}
  {%- do dbt_rfm.run_committed(sql) -%}
{% endmacro %}


{# Two targets with one rfm schema (a var is the same for both) would retire each other's versions without a word. #}
{% macro warn_of_shared_history(jobs, job) %}
  {%- set sql -%}
    select distinct target from {{ jobs }}
    where status = 'done' and node_id = {{ dbt_rfm.text(job.unique_id) }} and target <> {{ dbt_rfm.text(this) }}
  {%- endset -%}
  {%- set name = this.include(database=false, schema=false) | string -%}
  {%- for row in dbt_rfm.run_fresh(sql).rows if row[0].split('.') | last == name -%}
    {%- do exceptions.warn(this ~ ' and ' ~ row[0] ~ ' share the history and the versions in schema ' ~ jobs.schema ~ ": each build retires the other's version.\n  Give each target an rfm schema of its own: the var dbt_rfm_schema, with --vars for one of them. After a move, delete the old one's rows from " ~ jobs ~ '.') -%}
  {%- endfor -%}
{% endmacro %}


{# JSON without a single quote and without a semicolon: whatever a user wrote stays inside the literal. #}
{% macro plain_json(value) %}
  {%- do return(tojson(value) | replace("'", '\\u0027') | replace(';', '\\u003b') | replace('$', '\\u0024')) -%}
{% endmacro %}


{# Two threads of dbt may come here at the same moment: see the dispatched macro. #}
{% macro make_jobs_table(jobs) %}
  {%- if dbt_rfm.relation_kind(jobs) is none -%}
    {%- do dbt_rfm.make_rfm_schema(jobs) -%}
    {%- set sql -%}
      create table if not exists {{ jobs }} (
          job_id text,
          node_id text,
          target text,
          spec text,
          package_version text,
          status text,
          attempt int,
          worker text,
          lease_until timestamptz,
          heartbeat_at timestamptz,
          polled_at timestamptz,
          progress text,
          message text,
          result text,
          created_at timestamptz,
          updated_at timestamptz
      )
    {%- endset -%}
    {%- do dbt_rfm.run_committed(dbt_rfm.one_at_a_time() ~ sql) -%}
  {%- endif -%}
{% endmacro %}


{# The schema of a table of ours. It is not created where it is there, since a role may use it that may not create it. #}
{% macro make_rfm_schema(relation) %}
  {%- if not adapter.check_schema_exists(relation.database, relation.schema) -%}
    {#- Postgres takes no database before the name of a schema, and has no other one than ours. -#}
    {%- set schema = relation.without_identifier().include(database=target.type != 'postgres') -%}
    {%- set sql = 'create schema if not exists ' ~ schema -%}
    {%- do dbt_rfm.run_committed(dbt_rfm.one_at_a_time() ~ sql) -%}
  {%- endif -%}
{% endmacro %}


{# A statement that makes others wait until we commit; Postgres lets two sessions collide in `create … if not exists`. #}
{% macro one_at_a_time() %}
  {%- do return(adapter.dispatch('one_at_a_time', 'dbt_rfm')()) -%}
{% endmacro %}


{% macro default__one_at_a_time() %}
  {%- do return('') -%}
{% endmacro %}


{% macro postgres__one_at_a_time() %}
  {%- do return("select pg_advisory_xact_lock(hashtext('dbt_rfm')); ") -%}
{% endmacro %}


{# Cancels open jobs of a schema; `which` is a condition on rfm_jobs. #}
{% macro cancel_jobs(jobs, which, message) %}
  {%- set sql -%}
    update {{ jobs }}
    set status = 'cancelled', message = {{ dbt_rfm.text(message) }}, updated_at = current_timestamp
    where {{ which }} and status in ('queued', 'running')
  {%- endset -%}
  {%- do dbt_rfm.run_committed(sql) -%}
{% endmacro %}
