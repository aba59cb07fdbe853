{#
  dbt's side of a job: queue it, wait for its end, tell its progress. Returns {status, version, message}, where status is
  ready, held or empty, or failed with the worker's own message or with ours.
#}
{% macro answer_by_worker(job) %}
  {%- set jobs = dbt_rfm.beside(this, 'rfm_jobs') -%}
  {%- set job_id = invocation_id ~ '.' ~ job.unique_id -%}
  {%- do dbt_rfm.queue_job(jobs, job_id, job) -%}
  {%- set seen = namespace(ended=none, said='') -%}
  {%- for poll in range(100000) if seen.ended is none -%}
    {%- set row = dbt_rfm.look_at_job(jobs, job_id) -%}
    {%- set line = dbt_rfm.progress_line(row, poll) -%}
    {%- if line and line != seen.said -%}
      {%- do log(job.name ~ ': ' ~ line, info=true) -%}
      {%- set seen.said = line -%}
    {%- endif -%}
    {%- if row.status in ['done', 'failed', 'cancelled'] or row.trouble -%}
      {%- set seen.ended = row -%}
    {%- else -%}
      {%- do dbt_rfm.wait_seconds([1 + poll // 4, 15] | min) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if seen.ended.status == 'done' -%}
    {%- set result = fromjson(seen.ended.result or '') -%}
    {%- if result is mapping and result.status -%}{%- do return(result) -%}{%- endif -%}
    {%- do return({'status': 'failed', 'message': 'the worker left no result in job ' ~ job_id ~ ' that can be read, so nothing is served\n  Run dbt again.'}) -%}
  {%- endif -%}
  {%- do return({'status': 'failed', 'message': dbt_rfm.job_error(jobs, job_id, job, seen.ended)}) -%}
{% endmacro %}


{# The job as it is now, as a mapping; looking says that somebody waits. `trouble`: unclaimed, left or overdue. As long as
   any worker of our version gives a sign of life in this table, a job waits for its turn. #}
{% macro look_at_job(jobs, job_id) %}
  {%- set claim_timeout = dbt_rfm.seconds_var('dbt_rfm_claim_timeout', 600) -%}
  {%- set job_timeout = dbt_rfm.seconds_var('dbt_rfm_job_timeout', 21600) -%}
  {%- do dbt_rfm.run_committed('update ' ~ jobs ~ ' set polled_at = current_timestamp where job_id = ' ~ dbt_rfm.text(job_id)) -%}
  {%- set sql -%}
    select
        status, message, result, progress,
        case
            when status in ('queued', 'running') and created_at < current_timestamp - interval '{{ job_timeout }} seconds' then 'overdue'
            when workers.seen_at > current_timestamp - interval '{{ claim_timeout }} seconds' then null
            when status = 'queued' and updated_at < current_timestamp - interval '{{ claim_timeout }} seconds' then 'unclaimed'
            when status = 'running' and lease_until < current_timestamp - interval '{{ claim_timeout }} seconds' then 'left'
        end,
        case when workers.busy_until > current_timestamp then 1 else 0 end
    from {{ jobs }}
    cross join (
        select
            max(heartbeat_at) as seen_at,
            max(case when status = 'running' then lease_until end) as busy_until
        from {{ jobs }}
        where package_version = {{ dbt_rfm.text(dbt_rfm.package_version()) }}
    ) as workers
    where job_id = {{ dbt_rfm.text(job_id) }}
  {%- endset -%}
  {%- set rows = dbt_rfm.run_fresh(sql).rows -%}
  {%- if not rows | length -%}
    {%- do dbt_rfm.raise_error('job ' ~ job_id ~ ' is gone from ' ~ jobs, 'Somebody deleted it. Run dbt again.') -%}
  {%- endif -%}
  {%- set row = rows[0] -%}
  {%- do return({'status': row[0], 'message': row[1], 'result': row[2], 'progress': row[3], 'trouble': row[4], 'workers_are_busy': row[5] | int == 1}) -%}
{% endmacro %}


{# A time-out in whole seconds. #}
{% macro seconds_var(name, default) %}
  {%- set given = dbt_rfm.own_var(name, default) -%}
  {%- if given is not number or given < 1 -%}
    {%- do dbt_rfm.raise_error('var ' ~ name ~ ': expected a number of seconds, got ' ~ given) -%}
  {%- endif -%}
  {%- do return(given | int) -%}
{% endmacro %}


{# What to tell of an open job, or ''. #}
{% macro progress_line(row, poll) %}
  {%- if row.status == 'queued' -%}
    {%- set waiting = 'waiting for its turn, workers are busy with other jobs' if row.workers_are_busy else 'waiting for a worker' -%}
    {%- do return(waiting ~ (' (' ~ row.message ~ ')' if row.message else '') if row.message or poll > 3 else '') -%}
  {%- elif row.status != 'running' or not row.progress -%}
    {%- do return('') -%}
  {%- endif -%}
  {%- set now = fromjson(row.progress) -%}
  {%- set parts = [now.stage] -%}
  {%- if now.total -%}{%- do parts.append(now.done ~ ' of ' ~ now.total ~ ' shards') -%}{%- endif -%}
  {%- if now.seconds_left -%}{%- do parts.append('about ' ~ now.seconds_left ~ ' s left') -%}{%- endif -%}
  {%- do return(parts | join(', ')) -%}
{% endmacro %}


{# Why a job did not end as it should; one that nobody works on is cancelled. #}
{% macro job_error(jobs, job_id, job, row) %}
  {%- if row.status == 'failed' -%}
    {%- do return(row.message) -%}
  {%- elif row.status == 'cancelled' -%}
    {%- do return('the job was cancelled: ' ~ row.message) -%}
  {%- endif -%}
  {%- set start = 'Start one where it can reach the warehouse: `dbt-rfm worker`, or `dbt-rfm run -- dbt build` for both at once. One that runs has to look in schema ' ~ jobs.database ~ '.' ~ jobs.schema ~ ', and its log says what keeps it from the job.' -%}
  {%- set claim_timeout, job_timeout = dbt_rfm.seconds_var('dbt_rfm_claim_timeout', 600), dbt_rfm.seconds_var('dbt_rfm_job_timeout', 21600) -%}
  {%- set problem, hint = {
      'unclaimed': ('no worker took the job within ' ~ claim_timeout ~ ' seconds' ~ (': ' ~ row.message if row.message else ''),
          ('The dbt package is version ' ~ job.package_version ~ '; install the same version of the Python package for a worker.') if row.message else start),
      'left': ('the worker that had the job is gone and no other took it over within ' ~ claim_timeout ~ ' seconds', start),
      'overdue': ('the job was not done within ' ~ job_timeout ~ ' seconds',
          'Set the var dbt_rfm_job_timeout to more seconds, or see in the log of the worker what it waits for.'),
  }[row.trouble] -%}
  {%- do dbt_rfm.cancel_jobs(jobs, 'job_id = ' ~ dbt_rfm.text(job_id), problem) -%}
  {%- do return(problem ~ '\n  ' ~ hint) -%}
{% endmacro %}
