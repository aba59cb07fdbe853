{#
  The version that is served beat every baseline in its backtest: by its primary figure, or by `metric`.
  It fails, too, where nothing is served or the version has no backtest. Under --empty there is no version to look at.
#}
{% test beats_baseline(model, metric=none) %}
  {%- if not execute -%}{%- do return('select 1') -%}{%- endif -%}
  {%- if invocation_args_dict.get('empty') -%}{%- do return('select 1 where 1 = 0') -%}{%- endif -%}
  {%- if model is string -%}
    {%- do dbt_rfm.raise_error('beats_baseline looks at a whole version and takes no where') -%}
  {%- endif -%}
  {%- set registry = dbt_rfm.beside(model, 'rfm_versions') -%}
  {%- if dbt_rfm.relation_kind(registry) is none -%}
    {%- do return("select 'nothing was ever published' as problem") -%}
  {%- endif -%}
  {%- set lower_is_better = ['ece', 'logloss', 'mae', 'pinball', 'rmse', 'total_wape', 'wape'] -%}
with serving as (
    select version, backtest_metric, backtest_value, baseline_value, beats_baseline
    from {{ registry }}
    where model_name = {{ dbt_rfm.model_name(model) }} and status = 'serving'
),
{% if metric is none -%}
verdicts as (
    select version, backtest_metric as metric, backtest_value as value, baseline_value, beats_baseline as beats
    from serving
)
{%- else -%}
figures as (
    select serving.version, figures.baseline, figures.value
    from serving
    inner join {{ dbt_rfm.beside(model, 'rfm_metrics') }} as figures on serving.version = figures.version
    where
        figures.model_name = {{ dbt_rfm.model_name(model) }}
        and figures.metric = {{ dbt_rfm.text(metric) }}
        and figures.split = 'backtest'
),
verdicts as (
    select
        serving.version,
        {{ dbt_rfm.text(metric) }} as metric,
        own.value,
        other.value as baseline_value,
        own.value {{ '<' if metric in lower_is_better else '>' }} other.value as beats
    from serving
    left join figures as own on serving.version = own.version and own.baseline = ''
    left join figures as other on serving.version = other.version and other.baseline <> ''
)
{%- endif %}
select
    version,
    metric,
    value,
    baseline_value,
    case when value is null then 'no backtest figure' else 'not better than its baseline' end as problem
from verdicts
where not coalesce(beats, false)
union all
select null, null, null, null, 'no version is serving'
where not exists (select 1 from serving)
{% endtest %}
