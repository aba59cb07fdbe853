{# What dbt does after a table of its own: hooks, grants, descriptions, and the end of the transaction that is open. #}
{% macro finish_prediction(target_relation, existing, served, grant_config, post_hooks) %}
  {%- if served and existing is not none and not existing.is_table -%}
    {%- do adapter.cache_dropped(existing) -%}
  {%- endif -%}
  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- if served -%}
    {%- do apply_grants(target_relation, grant_config, should_revoke=should_revoke(existing, full_refresh_mode=True)) -%}
    {%- do persist_docs(target_relation, model) -%}
  {%- endif -%}
  {{ dbt_rfm.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
{% endmacro %}
