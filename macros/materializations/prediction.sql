{#
  A prediction: the query answered inside the dbt process, on dbt's own DuckDB cursor, by the Python package dbt-rfm.

  Python does all of the publishing (serving table, history, registry) in one transaction and leaves its outcome in a
  session table; this block only prepares the job, reports, and does what dbt does around a table. Whatever fails before
  that transaction leaves the last good table as it was.
#}
{% materialization prediction, adapter='duckdb', supported_languages=['sql'] %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set grant_config = config.get('grants') -%}
  {%- set job = dbt_rfm.prediction_job(model, compiled_code) -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {#- A Python statement must not start inside an open transaction, so these are committed before it. -#}
  {{ dbt_rfm.begin() }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}
  {{ dbt_rfm.commit() }}

  {#- dbt allows a Python statement only as a direct child of the materialization block. -#}
  {%- call statement('main', language='python') -%}
{{ dbt_rfm.prediction_python(job) }}
  {%- endcall -%}

  {%- set outcome = run_query('select status, message from dbt_rfm_outcome').rows[0] -%}
  {%- if outcome['status'] == 'failed' -%}
    {%- do dbt_rfm.raise_failure(outcome['message']) -%}
  {%- endif -%}
  {%- do log(outcome['message'], info=true) -%}

  {#- A first version that is held back serves nothing. -#}
  {%- set served = dbt_rfm.relation_kind(target_relation) is not none -%}
  {{ dbt_rfm.begin() }}
  {{ dbt_rfm.finish_prediction(target_relation, existing, served, grant_config, post_hooks) }}

  {{ return({'relations': [target_relation] if served else []}) }}
{% endmaterialization %}


{#
  The Python that dbt-duckdb runs: it calls model(dbt, con), then materialize(). An error it raised would be printed as a
  traceback, so what the user can mend becomes the outcome, here as in dbt_rfm.embedded.
#}
{% macro prediction_python(job) -%}
JOB = {{ tojson(tojson(job)) }}
VERSION = {{ tojson(job.package_version) }}


class dbtObj:
    def __init__(self, load_df_function):
        pass


def mismatch():
    """Why the Python package cannot take this job, or None."""
    import sys

    install = f"Install it where dbt runs ({sys.executable}): pip install 'dbt-rfm[duckdb]=={VERSION}'"
    try:
        import dbt_rfm
        import dbt_rfm.embedded
        import dbt_rfm.pipeline  # loads torch and the others, so that a missing one is told here
    except ImportError as error:
        return f"the Python package dbt-rfm cannot be imported: {error}\n  {install}"
    if dbt_rfm.__version__ != VERSION:
        found = f"the dbt package dbt_rfm is {VERSION} but the Python package dbt-rfm is {dbt_rfm.__version__}"
        return f"{found}\n  {install}, or set the same version in packages.yml and run dbt deps."
    return None


def model(dbt, con):
    problem = mismatch()
    if problem:
        sql = "create or replace temp table dbt_rfm_outcome as select 'failed' as status, ? as message"
        con.execute(sql, [problem])
    else:
        from dbt_rfm.embedded import run_job

        run_job(JOB, con)


def materialize(df, con):
    pass
{%- endmacro %}
